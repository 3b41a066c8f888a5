"""A picture shrunk and enlarged as MATLAB's imresize does it (bicubic, antialiased, clamped at the border), in NumPy.

    python make.py

What it computes was compared, byte by byte, with the low-resolution files of Set5, Set14, BSD100 and Urban100.
"""
import struct
import zlib

import numpy as np


def save(image, name):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = image.shape
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    with open(name, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def cubic(x):
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def along(image, axis, length):
    image = np.moveaxis(image.astype(np.float64), axis, 0)
    scale = length / len(image)
    stretch = min(scale, 1.0)
    u = np.arange(1, length + 1) / scale + 0.5 * (1 - 1 / scale)
    left = np.floor(u - 4 / stretch / 2)
    indices = left[:, None] + np.arange(int(np.ceil(4 / stretch)) + 2)
    weights = stretch * cubic(stretch * (u[:, None] - indices))
    weights /= weights.sum(1, keepdims=True)
    indices = np.clip(indices, 1, len(image)).astype(int) - 1
    out = np.stack([np.tensordot(w, image[i], 1) for w, i in zip(weights, indices)])
    return np.moveaxis(np.clip(np.floor(out + 0.5), 0, 255).astype(np.uint8), 0, axis)


def resize(image, height, width):
    return along(along(image, 0, height), 1, width)


if __name__ == "__main__":
    # Stripes that grow finer, and noise: 60 x 48 pixels.
    y, x = np.mgrid[0:48, 0:60]
    waves = [128 + 127 * np.sin(x * x / 40 + y / 5), 128 + 127 * np.cos(y * y / 30), 255.0 * ((x + y) % 7 < 3)]
    high = np.stack(waves, -1)
    high[24:, 30:] = np.random.default_rng(0).integers(0, 256, (24, 30, 3))
    high = high.astype(np.uint8)
    save(high, "high.png")
    for factor in (2, 3, 4):
        low = resize(high, 48 // factor, 60 // factor)
        save(low, f"shrunk_{factor}.png")
        save(resize(low, 48, 60), f"enlarged_{factor}.png")

    def luma(image, grey):
        return image.mean(-1) if grey else 16 + image @ [65.481, 128.553, 24.966] / 255

    def psnr(a, b):
        return 10 * np.log10(255**2 / np.mean((a - b) ** 2))

    def blurred(plane):
        distance = np.arange(11) - 5
        weights = np.exp(-(distance**2) / (2 * 1.5**2))
        window = np.outer(weights, weights) / weights.sum() ** 2
        return np.einsum("yxij,ij->yx", np.lib.stride_tricks.sliding_window_view(plane, (11, 11)), window)

    def ssim(a, b):
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        ma, mb = blurred(a), blurred(b)
        va, vb, cov = blurred(a * a) - ma**2, blurred(b * b) - mb**2, blurred(a * b) - ma * mb
        return np.mean((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))

    # A line each: scale, whether the original is grey, PSNR and SSIM on luma, PSNR on RGB.
    with open("measures.txt", "w") as file:
        for factor in (2, 3, 4):
            for grey in (0, 1):
                inside = np.s_[factor:-factor, factor:-factor]
                low = resize(high, 48 // factor, 60 // factor)
                a, b = (image[inside].astype(np.float64) for image in (resize(low, 48, 60), high))
                ya, yb = luma(a, grey), luma(b, grey)
                print(factor, grey, repr(float(psnr(ya, yb))), repr(float(ssim(ya, yb))), repr(float(psnr(a, b))), file=file)
