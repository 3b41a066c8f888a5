"""Compares an ONNX file that darts-run wrote with darts-run itself, in onnxruntime.

    pip install onnx onnxruntime safetensors
    darts-run export cifar10_small/network --to safetensors --output network.safetensors
    python tests/onnx/check.py network.safetensors [--program target/release/darts-run] [--side 64]

The weights are a file of `darts-run export`, or any other with the flags of `predict` behind `--`:

    python tests/onnx/check.py cifar10_model.pt -- --genotype darts_v2

Checks the file with ONNX's own checker, runs it on one image and on three, and exits with 1 where the scores differ by more
than rounding.
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

# Of the norm of the scores: float32 in another order of summation stays a hundred times below.
TOLERANCE = 1e-5


def main() -> int:
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    flags = arguments[split + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--program", default="target/release/darts-run")
    parser.add_argument("--side", type=int, help="height and width of the images")
    parsed = parser.parse_args(arguments[:split])

    def run(command: str, *words: object) -> None:
        line = [parsed.program, command, "--weights", parsed.weights, *map(str, words), *flags]
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        model, images, scores = folder / "network.onnx", folder / "x.safetensors", folder / "logits.safetensors"
        run("export", "--to", "onnx", "--output", model, *(["--side", parsed.side] if parsed.side else []))
        onnx.checker.check_model(onnx.load(model), full_check=True)
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        worst = 0.0
        for count in (1, 3):
            x = np.random.default_rng(count).standard_normal((count, *given.shape[1:]), dtype=np.float32)
            save_file({"x": x}, images)
            run("predict", "--input", images, "--output", scores, "--force")
            expected = load_file(scores)["logits"]
            (found,) = session.run(["logits"], {"x": x})
            assert found.shape == expected.shape, (found.shape, expected.shape)
            error = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
            print(f"{count} of {given.shape[1:]}: relative error {error:.1e}")
            worst = max(worst, error)
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
