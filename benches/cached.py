#!/usr/bin/env python3
"""How long a pipeline of 20 stages takes whose results, 2 GB, are all there.

Beside `dvc repro` and Snakemake on a graph of the same shape with files of the same sizes, where
these are installed (`pip install dvc snakemake`). All in one run; whole processes, medians.

    python3 benches/cached.py target/release/darts-run /scratch/folder
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

STAGES = 19  # and one that reads them all
IMAGES = 32_768  # of 3x32x32 bytes
BYTES = IMAGES * 3072
ROUNDS = 11


def run(command, folder):
    """Seconds and peak memory in MB of a process and those that it starts."""
    began = time.monotonic()
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = child.stderr.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)} ended with {status}:\n{said}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def darts_run(folder, program):
    stages = [
        f"  images{at}: {{prepare: {{synthetic: {{train: {IMAGES}, test: 16, classes: 4, size: 32, channels: 3, seed: {at}}}}}}}"
        for at in range(STAGES)
    ]
    names = ", ".join(f"images{at}" for at in range(STAGES))
    stages.append(f"  report: {{report: {{of: [{names}]}}}}")
    (folder / "cached.yaml").write_text("name: cached\nstages:\n" + "\n".join(stages) + "\n")
    return [program, "cached.yaml"]


def dvc(folder, _):
    stages = [
        f"  images{at}:\n    cmd: head -c {BYTES} /dev/urandom > images{at}.bin\n    outs: [images{at}.bin]"
        for at in range(STAGES)
    ]
    inputs = ", ".join(f"images{at}.bin" for at in range(STAGES))
    stages.append(f"  report:\n    cmd: ls > report.txt\n    deps: [{inputs}]\n    outs: [report.txt]")
    (folder / "dvc.yaml").write_text("stages:\n" + "\n".join(stages) + "\n")
    for command in (["init", "--no-scm", "--quiet"], ["config", "core.analytics", "false"]):
        subprocess.run(["dvc", *command], cwd=folder, check=True)
    return ["dvc", "repro"]


def snakemake(folder, _):
    outputs = [f"images{at}.bin" for at in range(STAGES)]
    rules = [f'rule report:\n    input: {outputs}\n    output: "report.txt"\n    shell: "ls > {{output}}"']
    rules += [
        f'rule images{at}:\n    output: "{name}"\n    shell: "head -c {BYTES} /dev/urandom > {{output}}"'
        for at, name in enumerate(outputs)
    ]
    (folder / "Snakefile").write_text("\n".join(rules) + "\n")
    return ["snakemake", "--cores", "1"]


def main():
    program, scratch = str(Path(sys.argv[1]).resolve()), Path(sys.argv[2])
    peers = [("darts-run", program, darts_run), ("dvc", "dvc", dvc), ("snakemake", "snakemake", snakemake)]
    commands = []
    for name, file, prepare in peers:
        if shutil.which(file) is None:
            print(f"{name}: not run, it is not installed")
            continue
        folder = scratch / name
        folder.mkdir(parents=True)
        command = prepare(folder, file)
        first, _ = run(command, folder)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        print(f"{name}: made {size / 1e9:.2f} GB in {first:.0f} s")
        commands.append((name, command, folder))
    found = {name: [] for name, *_ in commands}
    for _ in range(ROUNDS):
        for name, command, folder in commands:
            found[name].append(run(command, folder))
    for name, runs in found.items():
        times = sorted(1e3 * seconds for seconds, _ in runs)
        memory = max(memory for _, memory in runs)
        print(
            f"{name}: answered in {statistics.median(times):.1f} ms ({times[0]:.1f} to {times[-1]:.1f}), "
            f"{memory:.0f} MB at most, {ROUNDS} runs"
        )


if __name__ == "__main__":
    main()
