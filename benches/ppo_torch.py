"""An iteration of PPO on IMPALA's network, in PyTorch: python ppo_torch.py --mode nhwc.

The other side of `darts-run` learning a game: as many frames are acted on and learned from, as often, with the same losses and the same
optimiser. It has no game: frames are noise and rewards nothing, which costs less than any game would. One JSON line: frames a second.
"""
import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

ACTIONS, SIDE = 15, 64


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x):
        return x + self.second(torch.relu(self.first(torch.relu(x))))


class Impala(nn.Module):
    def __init__(self, widths):
        super().__init__()
        layers, before, side = [], 3, SIDE
        for width in widths:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.MaxPool2d(3, 2, padding=1), Residual(width), Residual(width)]
            before, side = width, (side + 1) // 2
        self.encoder = nn.Sequential(*layers)
        self.hidden = nn.Linear(before * side * side, 256)
        self.policy, self.value = nn.Linear(256, ACTIONS), nn.Linear(256, 1)

    def forward(self, frames):
        x = self.encoder(frames.float() / 255)
        x = torch.relu(self.hidden(torch.relu(x).flatten(1)))
        return self.policy(x), self.value(x).squeeze(1)


def loss_of(network, frames, actions, log, values, advantages, returns):
    logits, found = network(frames)
    distribution = torch.distributions.Categorical(logits=logits)
    ratio = (distribution.log_prob(actions) - log).exp()
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    policy = torch.maximum(-advantages * ratio, -advantages * ratio.clamp(0.8, 1.2)).mean()
    clipped = values + (found - values).clamp(-0.2, 0.2)
    value = 0.5 * torch.maximum((found - returns) ** 2, (clipped - returns) ** 2).mean()
    return policy + 0.5 * value - 0.01 * distribution.entropy().mean()


def iteration(network, optimiser, options, seen):
    """Acts on `steps` times `actors` frames, then learns from them in minibatches."""
    actors, steps = options.actors, options.steps
    kept = {name: [] for name in ("frames", "actions", "log", "values")}
    with torch.no_grad():
        for step in range(steps):
            frames = seen(step)
            logits, values = network(frames)
            distribution = torch.distributions.Categorical(logits=logits)
            actions = distribution.sample()
            for name, found in zip(kept, (frames, actions, distribution.log_prob(actions), values)):
                kept[name].append(found)
        values = torch.stack(kept["values"])
        advantages, last = torch.zeros_like(values), torch.zeros(actors)
        for step in reversed(range(steps)):
            following = values[step + 1] if step + 1 < steps else values[step]
            last = 0.999 * following - values[step] + 0.999 * 0.95 * last
            advantages[step] = last
    flat = [torch.cat(kept[name]) for name in kept] + [advantages.flatten(), (advantages + values).flatten()]
    frames, actions, log, old, advantages, returns = flat
    for _ in range(options.passes):
        for places in torch.randperm(actors * steps).split(options.batch):
            loss = loss_of(network, *(of[places] for of in (frames, actions, log, old, advantages, returns)))
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 0.5)
            optimiser.step()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=["eager", "nhwc"], default="nhwc", help="nhwc: channels last")
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32, 32])
    parser.add_argument("--actors", type=int, default=64)
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--iterations", type=int, default=3, help="the first one is not counted")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    layout = torch.channels_last if options.mode == "nhwc" else torch.contiguous_format
    network = Impala(options.widths).to(memory_format=layout)
    optimiser = torch.optim.Adam(network.parameters(), 5e-4, eps=1e-5)
    # Several screens, so that none is in a cache because it was there before.
    screens = torch.randint(0, 256, (8, options.actors, 3, SIDE, SIDE), dtype=torch.uint8)

    def seen(step):
        return screens[step % len(screens)].contiguous(memory_format=layout)

    speeds = []
    for _ in range(options.iterations):
        start = time.perf_counter()
        iteration(network, optimiser, options, seen)
        speeds.append(options.actors * options.steps / (time.perf_counter() - start))
    print(json.dumps({
        "program": f"pytorch {torch.__version__}", "mode": options.mode, "threads": options.threads,
        "parameters": sum(weights.numel() for weights in network.parameters()),
        "frames_per_second": round(statistics.median(speeds[1:] or speeds), 1),
    }))


if __name__ == "__main__":
    main()
