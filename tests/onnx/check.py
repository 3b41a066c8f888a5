"""Compares an ONNX file that darts-run wrote with darts-run itself, in onnxruntime.

    pip install -r .ci/onnx_wheels.txt
    darts-run export cifar10_small/network --to safetensors --output network.safetensors
    python tests/onnx/check.py network.safetensors [--program target/release/darts-run] [--sides 32x32 48x40]

The weights are a file of `darts-run export`, or any other with the flags of `predict` behind `--`:

    python tests/onnx/check.py cifar10_model.pt -- --genotype darts_v2

Checks the file with ONNX's own checker, runs it on one image and on three of each size, and exits with 1 where what it puts
out differs by more than rounding. A graph of fixed sides is run at those alone.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file, save_file

# Of the norm of an output: float32 in another order of summation stays a hundred times below.
TOLERANCE = 1e-5


def main() -> int:
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    flags = arguments[split + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--program", default="target/release/darts-run")
    parser.add_argument("--sides", nargs="+", default=["32x32", "48x40"], help="HEIGHTxWIDTH of images, where the graph's are free")
    parser.add_argument("--fix", type=int, help="export a graph of this side")
    parser.add_argument("--output", help="where to keep the graph")
    parsed = parser.parse_args(arguments[:split])

    def run(command: str, *words: object) -> None:
        line = [parsed.program, command, "--weights", parsed.weights, *map(str, words), *flags]
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        model, images, outputs = folder / "network.onnx", folder / "x.safetensors", folder / "outputs.safetensors"
        run("export", "--to", "onnx", "--output", model, *(["--side", parsed.fix] if parsed.fix else []))
        if parsed.output:
            Path(parsed.output).write_bytes(model.read_bytes())
        onnx.checker.check_model(onnx.load(model), full_check=True)
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        channels, height, width = given.shape[1:]
        free = [isinstance(side, str) for side in (height, width)]
        assert free in ([True, True], [False, False]), given.shape
        sizes = [[int(side) for side in sides.split("x")] for sides in parsed.sides] if all(free) else [[height, width]]
        worst = 0.0
        for height, width in sizes:
            for count in (1, 3):
                x = np.random.default_rng(count).standard_normal((count, channels, height, width), dtype=np.float32)
                save_file({"x": x}, images)
                run("predict", "--input", images, "--output", outputs, "--force")
                expected = load_file(outputs)
                for output in session.get_outputs():
                    (found,) = session.run([output.name], {"x": x})
                    wanted = expected[output.name]
                    assert found.shape == wanted.shape, (output.name, found.shape, wanted.shape)
                    error = float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
                    print(f"{count} of {channels}x{height}x{width}: `{output.name}` {found.shape}, relative error {error:.1e}")
                    worst = max(worst, error)
    print(f"{parsed.weights}: sides {'free' if all(free) else 'fixed'}, worst relative error {worst:.1e}")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
