#!/usr/bin/env python3
"""CIFAR-10 that was packed as JPEGs, into the official binary layout: unpack_cifar10.py PACK FOLDER (needs Pillow).

A pack is `C10JPK01`, the length of the header that all JPEGs share (u16) and their number (u32), that header, then of each image
its label (u8), the length of what follows the header (u16) and that; numbers are little-endian, images in the official order.
"""
import io
import struct
import sys
from pathlib import Path

IMAGES_A_FILE = 10_000
CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
FILES = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]


def records(pack):
    magic, header_length, count = struct.unpack_from("<8sHI", pack)
    if magic != b"C10JPK01":
        sys.exit("this is no pack of CIFAR-10")
    at = struct.calcsize("<8sHI")
    header = pack[at:at + header_length]
    at += header_length
    for _ in range(count):
        label, length = struct.unpack_from("<BH", pack, at)
        at += 3
        image = Image.open(io.BytesIO(header + pack[at:at + length])).convert("RGB")
        at += length
        yield bytes([label]) + b"".join(plane.tobytes() for plane in image.split())


def main():
    pack, folder = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    images = list(records(pack))
    for number, name in enumerate(FILES):
        (folder / name).write_bytes(b"".join(images[number * IMAGES_A_FILE:(number + 1) * IMAGES_A_FILE]))
    (folder / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n")
    print(f"{len(images)} images in {folder}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        from PIL import Image
    except ImportError:
        sys.exit("this needs Pillow: pip install pillow")
    main()
