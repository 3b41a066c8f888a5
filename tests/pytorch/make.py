"""Makes the files of this folder: what PyTorch saves, in the ways it has, small. `pip install torch`, then run it here."""

from collections import OrderedDict

import torch
from torch import nn

torch.manual_seed(0)


class ReluConvBn(nn.Module):
    def __init__(self, width_in: int, width: int, stride: int):
        super().__init__()
        self.op = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width_in, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x):
        return self.op(x)


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv_a = ReluConvBn(width // 2, width, 2)
        self.conv_b = ReluConvBn(width, width, 1)
        self.downsample = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(width // 2, width, 1, bias=False))

    def forward(self, x):
        return self.downsample(x) + self.conv_b(self.conv_a(x))


class Cell(nn.Module):
    """`|skip_connect~0|+|avg_pool_3x3~0|none~1|+|none~0|skip_connect~1|skip_connect~2|` of NAS-Bench-201."""

    def forward(self, x):
        pooled = nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return x + pooled


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 2, 3, 1, 1, bias=False), nn.BatchNorm2d(2))
        self.cells = nn.ModuleList([Cell(), Residual(4), Cell(), Residual(8), Cell()])
        self.lastact = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU())
        self.classifier = nn.Linear(8, 3)

    def forward(self, x):
        x = self.stem(x)
        for cell in self.cells:
            x = cell(x)
        return self.classifier(self.lastact(x).mean((2, 3)))


network = Network()
for name, buffer in network.named_buffers():
    if name.endswith("running_mean"):
        buffer.normal_(0, 0.2)
    elif name.endswith("running_var"):
        buffer.uniform_(0.5, 1.5)
network.eval()
x = torch.randn(3, 3, 8, 8)
with torch.no_grad():
    logits = network(x)
parallel = OrderedDict((f"module.{name}", tensor) for name, tensor in network.state_dict().items())
checkpoint = {"epoch": 3, "state_dict": parallel, "best_acc": 41.5, "optimizer": {"state": {0: {"step": torch.ones(1)}}}}
# As before PyTorch 1.6.
torch.save({**checkpoint, "x": x, "logits": logits}, "checkpoint_of_1_5.pth.tar", _use_new_zipfile_serialization=False)

# The first entry of an archive has the file's name in its own: at 21 letters it is as long as two records at the archive's end
# that a reader may take for none.
several = {
    "half": torch.tensor([1.5, -0.25, 65504.0]).half(),
    "bfloat": torch.tensor([1.5, -0.25, 3e38]).bfloat16(),
    "double": torch.tensor([0.1], dtype=torch.float64),
    "long": torch.tensor([-3, 5]),
    "flag": torch.tensor([True, False]),
    "turned": torch.arange(6.0).reshape(2, 3).t(),
    "part": torch.arange(10.0)[4:7],
}
torch.save(several, "types_at_21_letters_x.pt")
