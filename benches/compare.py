#!/usr/bin/env python3
"""darts-run beside PyTorch: the same steps on the same machine, one program after the other, round after round.

    cargo build --release
    python benches/compare.py                                   # every work, batch 64, on the CPU
    python benches/compare.py --device cuda --modes eager nhwc amp compile compile-amp
    python benches/compare.py --table benches/results/compare_2026-11-24.jsonl

Each configuration is a process of its own and is measured once a round, so that a busy minute of the machine meets all of them.
Every line that was printed goes to `benches/results/compare_DATE.jsonl`. The table has the median of the rounds, and as ratio
the median of the rounds' ratios to PyTorch's best mode. `--readme` puts it into benches/README.md.

Only Python itself is needed here; `--python` names one that has PyTorch.
"""
import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BEGIN, END = "<!-- compare: begin -->", "<!-- compare: end -->"
OURS = "darts-run"


def machine(device):
    """In words: what ran."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:
            name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    words = f"{len(os.sched_getaffinity(0))} cores of {name}"
    if device.startswith("cuda"):
        try:
            query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
            words = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0] + "; " + words
        except (OSError, subprocess.CalledProcessError, IndexError):
            pass
    return words


def measure(command, limit):
    """The row that `command` prints, or one that says why there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"error": f"not done in {limit} s"}
    except OSError as error:
        return {"error": str(error)}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        said = done.stderr.strip().splitlines() or [""]
        return {"error": f"exit code {done.returncode}: {said[-1]}"[:300]}
    return json.loads(lines[-1])


def configurations(options):
    """Side, mode and command of each, for a work and a batch."""
    common = ["--device", options.device, "--steps", str(options.steps), "--warm", str(options.warm)]
    common += ["--threads", str(options.threads)] if options.threads else []
    for precision in options.precision:
        yield OURS, precision, [options.binary, "bench", "--json", *common, "--precision", precision]
    for mode in options.modes:
        peer = os.path.join(HERE, "peer_torch.py")
        yield "pytorch", mode, [options.python, peer, "--mode", mode, *common]


def compare(options):
    failed = set()
    pairs = [(work, batch) for work in options.work for batch in options.batch]
    for turn in range(options.rounds):
        for work, batch in pairs:
            for side, mode, command in configurations(options):
                if (work, batch, side, mode) in failed:
                    continue
                row = measure([*command, "--work", work, "--batch", str(batch)], options.limit)
                if "error" in row:
                    failed.add((work, batch, side, mode))
                head = {"side": side, "round": turn, "at": time.strftime("%Y-%m-%dT%H:%M:%S"), "load": round(os.getloadavg()[0], 2)}
                yield {**head, "work": work, "batch": batch, "mode": mode, **row, "machine": options.machine}
                time.sleep(options.pause)


def of(rows, **keys):
    return [row for row in rows if all(row.get(key) == value for key, value in keys.items())]


def once(values):
    return list(dict.fromkeys(values))


def table(rows):
    """Markdown of all that was measured."""
    theirs = once(row["mode"] for row in of(rows, side="pytorch"))
    head = ["work", "batch", f"{OURS}", *(f"PyTorch {mode}" for mode in theirs), "ratio to the best", "to eager", "CPU ms", "in CPU time", "MiB", "of the best"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for work, batch in once((row["work"], row["batch"]) for row in rows):
        here = of(rows, work=work, batch=batch)
        medians = {}
        for mode in theirs:
            speeds = [row["images_s"] for row in of(here, side="pytorch", mode=mode) if "images_s" in row]
            medians[mode] = statistics.median(speeds) if speeds else None
        known = {mode: speed for mode, speed in medians.items() if speed}
        best = max(known, key=known.get) if known else None
        for kind in once((row["mode"], row.get("precision", "f32")) for row in of(here, side=OURS)):
            ours = [row for row in of(here, side=OURS, mode=kind[0]) if "images_s" in row]
            ours = [row for row in ours if row["precision"] == kind[1]]
            if not ours:
                continue
            line = [f"`{work}`" + (f" {kind[1]}" if kind[1] != "f32" else ""), str(batch)]
            line.append(f"**{statistics.median(row['images_s'] for row in ours):.1f}**")
            line += [f"{median:.1f}" if (median := medians[mode]) else "–" for mode in theirs]
            for mode in (best, "eager" if "eager" in known else None):
                line.append(ratio(ours, of(here, side="pytorch", mode=mode)) if mode else "–")
            line.append(middle(ours, "cpu_ms"))
            line.append(ratio(ours, of(here, side="pytorch", mode=best), cpu_speed) if best else "–")
            line.append(middle(ours, "peak_mib"))
            line.append(middle(of(here, side="pytorch", mode=best), "peak_mib") if best else "–")
            lines.append("| " + " | ".join(line) + " |")
    lines += ["", "Images a second, medians of the rounds; ratios are medians of the rounds' ratios. " + conditions(rows)]
    failures = [row for row in rows if "error" in row]
    lines += [f"\nNot measured: `{row['work']}` {row['side']} {row['mode']}, {row['error']}." for row in failures]
    return "\n".join(lines)


def speed(row):
    return row.get("images_s")


def cpu_speed(row):
    return row["batch"] / row["cpu_ms"] if row.get("cpu_ms") else None


def ratio(ours, theirs, fast=speed):
    speeds = {row["round"]: fast(row) for row in theirs if fast(row)}
    ratios = [fast(row) / speeds[row["round"]] for row in ours if fast(row) and row["round"] in speeds]
    return f"{statistics.median(ratios):.2f}" if ratios else "–"


def middle(rows, key):
    values = [row[key] for row in rows if row.get(key)]
    return f"{statistics.median(values):,.0f}" if values else "–"


def conditions(rows):
    measured = [row for row in rows if "images_s" in row]
    said = [once(row[key] for row in measured if key in row) for key in ("version", "machine", "threads", "steps")]
    versions, machines, threads, steps = ([str(value) for value in values] for values in said)
    when = once(row["at"][:10] for row in rows)
    rounds = 1 + max(row["round"] for row in rows)
    return (f"{', '.join(versions)}; {', '.join(machines)}; threads: {', '.join(threads)}; "
            f"rounds: {rounds}, of {', '.join(steps)} steps; {', '.join(when)}.")


def into_readme(text):
    path = os.path.join(HERE, "README.md")
    with open(path) as file:
        readme = file.read()
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    with open(path, "w") as file:
        file.write(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.path.join(HERE, "../target/release/darts-run"))
    parser.add_argument("--python", default=sys.executable, help="a Python that has PyTorch")
    parser.add_argument("--work", nargs="+", default=["nb201", "darts", "retrain"])
    parser.add_argument("--batch", nargs="+", type=int, default=[64])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", nargs="+", default=["f32"], help=f"of {OURS}")
    parser.add_argument("--modes", nargs="*", default=["eager", "nhwc", "amp", "compile"], help="of PyTorch")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warm", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--limit", type=int, default=900, help="seconds of one configuration; past them it is left out")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two of them")
    parser.add_argument("--out", help="file of raw lines, which are added at its end")
    parser.add_argument("--table", metavar="FILE", help="measure nothing: the table of raw lines")
    parser.add_argument("--readme", action="store_true", help="put the table into benches/README.md")
    options = parser.parse_args()
    if options.table:
        with open(options.table) as lines:
            rows = [row for row in map(json.loads, lines) if "side" in row]
    else:
        options.machine = machine(options.device)
        out = options.out or os.path.join(HERE, "results", f"compare_{datetime.date.today()}.jsonl")
        rows = []
        with open(out, "a") as file:
            for row in compare(options):
                rows.append(row)
                file.write(json.dumps(row) + "\n")
                file.flush()
                said = f"{row['images_s']:.1f} images/s" if "images_s" in row else row["error"]
                print(f"{row['round'] + 1}/{options.rounds} {row['work']} {row['batch']} {row['side']} {row['mode']}: {said}",
                      file=sys.stderr)
    text = table(rows)
    print(text)
    if options.readme:
        into_readme(text)


if __name__ == "__main__":
    main()
