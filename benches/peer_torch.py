"""The steps of `darts-run bench`, in PyTorch: python peer_torch.py --work nb201 --batch 64 --mode eager.

One configuration a process, so that its peak of memory is its own; one JSON line, with the keys of `darts-run bench --json`.
The networks are written as one writes them in PyTorch: a module an operation, candidates weighted and summed one by one.
Steps of bilevel searches ask for no gradient that they do not use.

Modes: `eager`; `nhwc` (channels last); `amp` (bfloat16 where autocast has it, channels last); `compile`; `compile-amp`.
"""
import argparse
import json
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

CLASSES, SIDE = 10, 32


def conv(inputs, outputs, kernel=1, stride=1, dilation=1, groups=1, bias=False):
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias)


def relu_conv_norm(inputs, outputs, kernel=1, stride=1, learned=True, bias=False):
    return nn.Sequential(nn.ReLU(), conv(inputs, outputs, kernel, stride, bias=bias),
                         nn.BatchNorm2d(outputs, affine=learned))


def depthwise(width, kernel, strides, dilation, learned):
    """ReLU, depthwise, pointwise, norm; once for each stride."""
    layers = []
    for stride in strides:
        layers += [nn.ReLU(), conv(width, width, kernel, stride, dilation, width), conv(width, width),
                   nn.BatchNorm2d(width, affine=learned)]
    return nn.Sequential(*layers)


class Halve(nn.Module):
    """Half the sides: two pointwise convolutions, one of them a pixel further on."""

    def __init__(self, inputs, outputs, learned):
        super().__init__()
        self.even, self.odd = conv(inputs, outputs // 2, stride=2), conv(inputs, outputs - outputs // 2, stride=2)
        self.norm = nn.BatchNorm2d(outputs, affine=learned)

    def forward(self, x):
        x = torch.relu(x)
        return self.norm(torch.cat((self.even(x), self.odd(x[..., 1:, 1:])), dim=1))


class Nothing(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return torch.zeros_like(x[..., ::self.stride, ::self.stride])


def operation(name, width, stride, supernet):
    """An operation of the DARTS space; in a supernet nothing is learned by a norm, and pooling has one."""
    learned = not supernet
    kind, *rest = name.rsplit("_", 1)
    if name == "none":
        return Nothing(stride)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Halve(width, width, learned)
    kernel = int(rest[0][0])
    if kind.endswith("pool"):
        pool = (nn.MaxPool2d(kernel, stride, 1) if kind == "max_pool" else
                nn.AvgPool2d(kernel, stride, 1, count_include_pad=False))
        return nn.Sequential(pool, nn.BatchNorm2d(width, affine=False)) if supernet else pool
    if kind == "sep_conv":
        return depthwise(width, kernel, (stride, 1), 1, learned)
    return depthwise(width, kernel, (stride,), 2, learned)


CANDIDATES = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect",
              "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")


class Choice(nn.ModuleList):
    """All candidates of an edge, mixed."""

    def forward(self, x, weights):
        return sum(weight * candidate(x) for weight, candidate in zip(weights, self))


class DrawnChoice(Choice):
    """The candidate of weight one, the others' weights beside it (GDAS, arXiv 1910.04465)."""

    def forward(self, x, weights):
        drawn = int(weights.argmax())
        return sum(weight * candidate(x) if index == drawn else weight
                   for index, (weight, candidate) in enumerate(zip(weights, self)))


class PartialChoice(nn.Module):
    """Candidates for a quarter of the channels, the others pass by (PC-DARTS, arXiv 1907.05737)."""

    def __init__(self, width, stride, parts=4):
        super().__init__()
        self.choice = Choice(operation(name, width // parts, stride, True) for name in CANDIDATES)
        self.by = nn.MaxPool2d(2) if stride == 2 else nn.Identity()
        self.shuffle = nn.ChannelShuffle(parts)
        self.taken = width // parts

    def forward(self, x, weights):
        mixed = self.choice(x[:, :self.taken], weights)
        return self.shuffle(torch.cat((mixed, self.by(x[:, self.taken:])), dim=1))


class Cell(nn.Module):
    """Two inputs brought to one width, four nodes that are joined."""

    def __init__(self, inputs, width, halves, after_halving, learned):
        super().__init__()
        older, newer = inputs
        self.older = Halve(older, width, learned) if after_halving else relu_conv_norm(older, width, learned=learned)
        self.newer = relu_conv_norm(newer, width, learned=learned)
        self.halves = halves

    def states(self, older, newer):
        return [self.older(older), self.newer(newer)]


def whole_choice(width, stride):
    return Choice(operation(name, width, stride, True) for name in CANDIDATES)


class SearchedCell(Cell):
    def __init__(self, inputs, width, halves, after_halving, choice):
        super().__init__(inputs, width, halves, after_halving, learned=False)
        self.edges = nn.ModuleDict()
        for node in range(2, 6):
            for source in range(node):
                stride = 2 if halves and source < 2 else 1
                self.edges[f"{source}-{node}"] = choice(width, stride)

    def forward(self, older, newer, weights):
        states, rows = self.states(older, newer), iter(weights)
        for node in range(2, 6):
            states.append(sum(self.edges[f"{source}-{node}"](states[source], next(rows)) for source in range(node)))
        return torch.cat(states[2:], dim=1)


def plan(width, cells):
    """Of each cell: the widths of its inputs, its own, whether it halves, whether the one before did."""
    older = newer = 3 * width
    before = False
    for index in range(cells):
        halves = index in (cells // 3, 2 * cells // 3)
        width *= 1 + halves
        yield (older, newer), width, halves, before
        older, newer, before = newer, 4 * width, halves


def stem(width):
    return nn.Sequential(conv(3, width, 3), nn.BatchNorm2d(width))


class Darts(nn.Module):
    def __init__(self, width=16, cells=8, choice=whole_choice):
        super().__init__()
        self.stem = stem(3 * width)
        self.cells = nn.ModuleList(SearchedCell(*shape, choice) for shape in plan(width, cells))
        self.classifier = nn.Linear(16 * width, CLASSES)
        self.alphas = nn.ParameterList(1e-3 * torch.randn(14, len(CANDIDATES)) for _ in range(2))

    def mixing(self):
        return [alphas.softmax(dim=1) for alphas in self.alphas[:2]]

    def forward(self, images):
        normal, halving = self.mixing()
        older = newer = self.stem(images)
        for cell in self.cells:
            older, newer = newer, cell(older, newer, halving if cell.halves else normal)
        return [self.classifier(newer.mean(dim=(2, 3)))]


class PartialDarts(Darts):
    """Edges have weights of their own, normalised over those that enter a node."""

    def __init__(self):
        super().__init__(choice=PartialChoice)
        self.alphas.extend(1e-3 * torch.randn(14) for _ in range(2))

    def mixing(self):
        weights = super().mixing()
        for kind, betas in enumerate(self.alphas[2:]):
            shares = torch.cat([of_node.softmax(dim=0) for of_node in betas.split((2, 3, 4, 5))])
            weights[kind] = weights[kind] * shares[:, None]
        return weights


class TableCell(nn.Module):
    """Four states, six edges with five candidates."""

    EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))

    def __init__(self, width, choice):
        super().__init__()
        self.edges = nn.ModuleList(choice((
            Nothing(1), nn.Identity(),
            relu_conv_norm(width, width, 1, learned=False, bias=True),
            relu_conv_norm(width, width, 3, learned=False, bias=True),
            nn.AvgPool2d(3, 1, 1, count_include_pad=False))) for _ in self.EDGES)

    def forward(self, x, weights):
        states = {0: x}
        for (source, target), edge, row in zip(self.EDGES, self.edges, weights):
            value = edge(states[source], row)
            states[target] = states[target] + value if target in states else value
        return states[3]


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(relu_conv_norm(width, 2 * width, 3, 2), relu_conv_norm(2 * width, 2 * width, 3))
        self.short = nn.Sequential(nn.AvgPool2d(2), conv(width, 2 * width))

    def forward(self, x, weights):
        return self.body(x) + self.short(x)


class Nb201(nn.Module):
    def __init__(self, width=16, cells=5, choice=Choice):
        super().__init__()
        self.stem = stem(width)
        blocks = [TableCell(width, choice) for _ in range(cells)]
        for _ in range(2):
            blocks.append(Residual(width))
            width *= 2
            blocks += [TableCell(width, choice) for _ in range(cells)]
        self.blocks = nn.ModuleList(blocks)
        self.norm, self.classifier = nn.BatchNorm2d(width), nn.Linear(width, CLASSES)
        self.alphas = nn.ParameterList([1e-3 * torch.randn(len(TableCell.EDGES), 5)])

    def mixing(self):
        return self.alphas[0].softmax(dim=1)

    def forward(self, images):
        x, weights = self.stem(images), self.mixing()
        for block in self.blocks:
            x = block(x, weights)
        return [self.classifier(torch.relu(self.norm(x)).mean(dim=(2, 3)))]


class DrawnNb201(Nb201):
    """One candidate an edge, drawn for each pass; its weight is one and has the softmax's gradient."""

    TEMPERATURE = 10.0

    def __init__(self):
        super().__init__(choice=DrawnChoice)

    def mixing(self):
        alphas = self.alphas[0]
        noise = -torch.empty_like(alphas).exponential_().log()
        soft = ((alphas.log_softmax(dim=1) + noise) / self.TEMPERATURE).softmax(dim=1)
        drawn = torch.zeros_like(soft).scatter_(1, soft.argmax(dim=1, keepdim=True), 1.0)
        return drawn - soft.detach() + soft


# DARTS_V2 (arXiv 1806.09055): two choices a node, each an operation and the state that it reads.
NORMAL = ("sep_conv_3x3 0", "sep_conv_3x3 1", "sep_conv_3x3 0", "sep_conv_3x3 1",
          "sep_conv_3x3 1", "skip_connect 0", "skip_connect 0", "dil_conv_3x3 2")
HALVING = ("max_pool_3x3 0", "max_pool_3x3 1", "skip_connect 2", "max_pool_3x3 1",
           "max_pool_3x3 0", "skip_connect 2", "skip_connect 2", "max_pool_3x3 1")


class ChosenCell(Cell):
    def __init__(self, inputs, width, halves, after_halving, drop):
        super().__init__(inputs, width, halves, after_halving, learned=True)
        self.drop, self.choices, self.sources = drop, nn.ModuleList(), []
        for name, source in (choice.split() for choice in (HALVING if halves else NORMAL)):
            self.sources.append(int(source))
            stride = 2 if halves and int(source) < 2 else 1
            self.choices.append(operation(name, width, stride, False))

    def path(self, index, states):
        x = self.choices[index](states[self.sources[index]])
        if isinstance(self.choices[index], nn.Identity):
            return x
        keep = torch.empty(len(x), 1, 1, 1, dtype=x.dtype, device=x.device).bernoulli_(1 - self.drop)
        return x * (keep / (1 - self.drop))

    def forward(self, older, newer):
        states = self.states(older, newer)
        for index in range(0, len(self.choices), 2):
            states.append(self.path(index, states) + self.path(index + 1, states))
        return torch.cat(states[2:], dim=1)


class Retrained(nn.Module):
    def __init__(self, width=36, cells=20, drop=0.2):
        super().__init__()
        self.stem = stem(3 * width)
        self.cells = nn.ModuleList(ChosenCell(*shape, drop) for shape in plan(width, cells))
        self.after = 2 * cells // 3
        self.auxiliary = nn.Sequential(
            nn.ReLU(), nn.AvgPool2d(5, 3), conv(16 * width, 128), nn.BatchNorm2d(128),
            nn.ReLU(), nn.Conv2d(128, 768, 2, bias=False), nn.BatchNorm2d(768),
            nn.ReLU(), nn.Flatten(), nn.Linear(768, CLASSES))
        self.classifier = nn.Linear(16 * width, CLASSES)
        self.alphas = nn.ParameterList()

    def forward(self, images):
        older = newer = self.stem(images)
        for index, cell in enumerate(self.cells):
            older, newer = newer, cell(older, newer)
            if index == self.after:
                auxiliary = self.auxiliary(newer)
        return [self.classifier(newer.mean(dim=(2, 3))), auxiliary]


# What is trained, and how alphas move before the weights do: `None` together with them, on the same batch.
WORKS = {
    "nb201": (Nb201, None), "darts": (Darts, None), "retrain": (Retrained, None),
    "first_order": (Nb201, "first"), "second_order": (Nb201, "second"),
    "gdas": (DrawnNb201, "first"), "pc_darts": (PartialDarts, "first"),
}
MODES = ("eager", "nhwc", "amp", "compile", "compile-amp")
# What the loss of each output counts: the classifier's, the auxiliary head's.
SHARES = (1.0, 0.4)


WEIGHT_RATE, MOMENTUM, WEIGHT_DECAY = 0.025, 0.9, 3e-4


def second_order(loss, weights, alphas, momenta):
    """Gradient of the alphas through a step of the weights that is not taken (arXiv 1806.09055, eq. 6 to 8);
    `loss(validation)` is that of one of the two batches."""
    def move(directions, by):
        with torch.no_grad():
            for weight, direction in zip(weights, directions):
                weight.add_(direction, alpha=by)

    before = [weight.detach().clone() for weight in weights]
    ahead = torch.autograd.grad(loss(False), weights)
    move([MOMENTUM * momentum + gradient + WEIGHT_DECAY * weight
          for momentum, gradient, weight in zip(momenta(), ahead, before)], -WEIGHT_RATE)
    judged = torch.autograd.grad(loss(True), alphas + weights)
    direct, towards = judged[:len(alphas)], judged[len(alphas):]

    def restore():
        with torch.no_grad():
            for weight, value in zip(weights, before):
                weight.copy_(value)

    reach = 0.01 / torch.cat([direction.flatten() for direction in towards]).norm()
    sides = []
    for sign in (1, -1):
        restore()
        move(towards, sign * reach.item())
        sides.append(torch.autograd.grad(loss(False), alphas))
    restore()
    return [gradient - WEIGHT_RATE * (plus - minus) / (2 * reach) for gradient, plus, minus in zip(direct, *sides)]


def measure(options):
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    kind = torch.device(options.device).type
    amp, compiled = options.mode.endswith("amp"), options.mode.startswith("compile")
    layout = torch.channels_last if amp or options.mode == "nhwc" else torch.contiguous_format
    make, levels = WORKS[options.work]
    network = make().to(options.device, memory_format=layout).train()

    def noise():
        images = torch.randn(options.batch, 3, SIDE, SIDE, device=options.device).contiguous(memory_format=layout)
        return images, torch.randint(CLASSES, (options.batch,), device=options.device)

    fit, validation = noise(), noise()
    alphas = list(network.alphas)
    weights = [value for name, value in network.named_parameters() if not name.startswith("alphas.")]
    of_weights = torch.optim.SGD(weights, lr=WEIGHT_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    optimisers = [of_weights]
    if alphas:
        optimisers.append(torch.optim.Adam(alphas, lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3))
    run = torch.compile(network) if compiled else network

    def loss_on(batch):
        images, labels = batch
        with torch.autocast(kind, torch.bfloat16, enabled=amp):
            return sum(share * F.cross_entropy(scores, labels) for share, scores in zip(SHARES, run(images)))

    def momenta():
        return [of_weights.state[weight].get("momentum_buffer", torch.zeros_like(weight)) for weight in weights]

    def step():
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        if levels is not None:
            if levels == "first":
                gradients = torch.autograd.grad(loss_on(validation), alphas)
            else:
                gradients = second_order(lambda judging: loss_on(validation if judging else fit), weights, alphas, momenta)
            for alpha, gradient in zip(alphas, gradients):
                alpha.grad = gradient
            optimisers[1].step()
            loss = loss_on(fit)
            for weight, gradient in zip(weights, torch.autograd.grad(loss, weights, allow_unused=True)):
                weight.grad = gradient
        else:
            loss = loss_on(fit)
            loss.backward()
        nn.utils.clip_grad_norm_(weights, 5.0)
        for optimiser in optimisers if levels is None else optimisers[:1]:
            optimiser.step()
        return loss.item()

    def finish():
        if kind == "cuda":
            torch.cuda.synchronize()

    times, cpu_times = [], []
    for index in range(options.warm + options.steps):
        finish()
        start, cpu_start = time.perf_counter(), time.process_time()
        step()
        finish()
        if index >= options.warm:
            times.append(1e3 * (time.perf_counter() - start))
            cpu_times.append(1e3 * (time.process_time() - cpu_start))
    median = statistics.median(times)
    peak = (torch.cuda.max_memory_allocated() / 2**20 if kind == "cuda" else
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)
    return {
        "version": f"pytorch {torch.__version__}", "work": options.work, "batch": options.batch,
        "device": kind, "mode": options.mode, "ms": round(median, 2),
        "images_s": round(1e3 * options.batch / median, 2), "spread": [round(min(times), 2), round(max(times), 2)],
        "cpu_ms": round(statistics.median(cpu_times), 2),
        "peak_mib": round(peak), "params": sum(value.numel() for value in weights),
        "threads": torch.get_num_threads(), "precision": "bf16" if amp else "f32", "steps": options.steps,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", choices=WORKS, required=True)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--mode", choices=MODES, default="eager")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warm", type=int, default=2)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(json.dumps(measure(options)), flush=True)


if __name__ == "__main__":
    main()
