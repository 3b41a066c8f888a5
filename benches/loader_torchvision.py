"""The same work as `darts-run bench --work loader`, done by torchvision on Pillow: python loader_torchvision.py FOLDER.

One JSON line a view: crop, flip and colours; crop and flip; the middle. FOLDER has class folders of pictures, or a `train`
with them. `--workers 0` works in this process on one thread, `--workers 2` in two processes beside it.
"""
import argparse
import json
import os
import statistics
import time

import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

SIZE, RESIZE = 224, 256


def views():
    end = [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    begin = [transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip()]
    yield "training_with_jitter", begin + [transforms.ColorJitter(0.4, 0.4, 0.4, 0.2)] + end
    yield "training", begin + end
    yield "evaluation", [transforms.Resize(RESIZE), transforms.CenterCrop(SIZE)] + end


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--steps", type=int, default=25)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    below = os.path.join(arguments.folder, "train")
    folder = below if os.path.isdir(below) else arguments.folder
    for view, steps in views():
        pictures = datasets.ImageFolder(folder, transforms.Compose(steps))
        loader = DataLoader(pictures, arguments.batch, shuffle=True, drop_last=True, num_workers=arguments.workers,
                            persistent_workers=arguments.workers > 0)

        def batches():
            while True:
                yield from loader

        stream = batches()
        # Not counted: workers start, files come into memory. With workers those batches too that were prepared before.
        for _ in range(1 + 3 * arguments.workers):
            next(stream)
        times = []
        start = time.perf_counter()
        for _ in range(arguments.steps):
            last = time.perf_counter()
            next(stream)
            times.append(1e3 * (time.perf_counter() - last))
        mean = 1e3 * (time.perf_counter() - start) / arguments.steps
        # Workers hand batches over in bursts, so that only their mean says how fast they are.
        each = mean if arguments.workers else statistics.median(times)
        row = {"work": "loader", "by": "torchvision", "view": view, "pictures": len(pictures), "batch": arguments.batch}
        row |= {"workers": arguments.workers, "steps": arguments.steps, "images_per_second": 1e3 * arguments.batch / each}
        row["ms_per_batch"] = {"least": min(times), "of_rate": each, "greatest": max(times)}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
