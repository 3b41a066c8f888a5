"""Writes the pictures of this folder: python make.py (Pillow 13.0 with libjpeg-turbo 3.2, torchvision 0.29, numpy).

A `.jpg`, or a `.png` that begins with `of_`, is what is decoded; the `.png` of the same name, else `picture.png`, is what
Pillow makes of it. `middle.png` and `part_*.png` are what torchvision makes of `wide.png`.
"""
import numpy as np
from PIL import Image, ImageOps
from torchvision import transforms
from torchvision.transforms import functional

y, x = np.mgrid[0:24, 0:32]
rgb = np.stack([x * 8, y * 10, (x + y) * 4], -1).clip(0, 255).astype("uint8")
picture = Image.fromarray(rgb)
picture.save("picture.png")


def golden(name):
    Image.open(f"{name}.jpg").convert("RGB").save(f"{name}.png")


picture.save("baseline.jpg", quality=90)
picture.save("progressive.jpg", quality=90, progressive=True)
picture.convert("L").save("grey.jpg", quality=90)
picture.convert("CMYK").save("cmyk.jpg", quality=90)
# Four channels of Y, Cb, Cr and black; Pillow writes CMYK inverted, and 0 (CMYK) as the colour transform of Adobe's marker.
ycck = np.dstack([255 - np.asarray(picture.convert("YCbCr")), (x * 3).astype("uint8")])
Image.fromarray(ycck, "CMYK").save("ycck.jpg", quality=90)
data = open("ycck.jpg", "rb").read()
at = data.index(b"Adobe") + 11
assert data[at] == 0
open("ycck.jpg", "wb").write(data[:at] + b"\x02" + data[at + 1 :])
for name in ("baseline", "progressive", "grey", "cmyk", "ycck"):
    golden(name)
exif = Image.Exif()
for orientation in range(1, 9):
    exif[0x112] = orientation
    picture.save(f"turned_{orientation}.jpg", quality=90, exif=exif)
    ImageOps.exif_transpose(Image.open(f"turned_{orientation}.jpg")).save(f"turned_{orientation}.png")

alpha = np.dstack([rgb, (y * 10).astype("uint8")])
Image.fromarray(alpha, "RGBA").save("of_alpha.png")
Image.fromarray(rgb[..., 0]).save("of_grey.png")
Image.fromarray((rgb[..., 0].astype("uint16") * 257)).save("of_grey_16.png")
picture.quantize(16).save("of_palette.png")
picture.quantize(16).convert("RGB").save("palette.png")

# Other kinds. What loses nothing is `picture.png`; the GIF moves, and its first picture is `palette.png`.
picture.save("lossless.webp", lossless=True)
Image.fromarray(alpha, "RGBA").save("alpha.webp", lossless=True, exact=True)
picture.save("lossy.webp", quality=90)
Image.open("lossy.webp").convert("RGB").save("lossy.png")
picture.quantize(16).save("moving.gif", save_all=True, append_images=[ImageOps.mirror(picture).quantize(16)])
picture.save("picture.bmp")
picture.save("lzw.tif", compression="tiff_lzw")
picture.save("picture.ppm")
Image.fromarray(rgb[..., 0]).save("grey.pgm")
picture.convert("1").save("bits.pbm")
picture.convert("1").convert("RGB").save("bits.png")

y, x = np.mgrid[0:47, 0:61]
wide = np.stack([x * 4 % 256, (x * x + y * y) % 251, (x * y) % 256], -1).astype("uint8")
wide = Image.fromarray(wide)
wide.save("wide.png")
transforms.Compose([transforms.Resize(40), transforms.CenterCrop(33)])(wide).save("middle.png")
functional.resized_crop(wide, 3, 5, 40, 50, (16, 16)).save("part_shrunk.png")
functional.resized_crop(wide, 30, 40, 10, 12, (24, 24)).save("part_grown.png")
