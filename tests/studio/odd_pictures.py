"""Pictures of every kind that a folder may hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from anymask.studio.picture_files import PictureFile, find_picture

_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)

ODD_PICTURES: dict[str, str | None] = {
    "colour.jpg": "image/jpeg",
    "grey.jpg": "image/jpeg",
    "exif-rotated.jpg": "image/jpeg",
    "exif-mirrored.jpg": "image/jpeg",
    "xmp-rotated.jpg": None,
    "cmyk.jpg": None,
    "colour.png": "image/png",
    "grey.png": "image/png",
    "one-bit.png": "image/png",
    "palette.png": "image/png",
    "palette-transparent.png": None,
    "grey-alpha.png": None,
    "alpha.png": None,
    "sixteen-bit-grey.png": None,
    "sixteen-bit-colour.png": None,
    "exif-rotated.png": None,
    "animated.png": None,
    "lossless.webp": "image/webp",
    "alpha.webp": None,
    "exif-rotated.webp": None,
    "palette.gif": None,
    "colour.bmp": None,
    "colour.tif": None,
    "sixteen-bit.tif": None,
    "rotated.tif": None,
    "colour.ppm": None,
}
"""The kinds by their file names, with the media type of those that a browser gets as they are."""


def write_odd_picture(folder: Path, name: str, noise: Callable[..., np.ndarray]) -> PictureFile:
    """Write a picture of 37 x 23 pixels, or turned; it has areas of one colour, so that JPEG keeps it nearly."""
    blocks = noise(3, 5, 3).repeat(8, axis=0).repeat(8, axis=1)[:23, :37]
    path = folder / name
    kind, _, ending = name.partition(".")
    image = Image.fromarray(blocks)
    exif = Image.Exif()
    exif[0x0112] = 7 if "mirrored" in kind else 6
    rotated = {"exif": exif} if kind.startswith(("exif", "rotated")) else {}
    if kind.startswith("sixteen-bit"):
        wide = (
            noise(23, 37, most=65536, kind=np.uint16)
            if "grey" in kind
            else noise(23, 37, 3, most=65536, kind=np.uint16)
        )
        assert cv2.imwrite(str(path), wide)
    elif kind == "grey":
        image.convert("L").save(path)
    elif kind == "one-bit":
        image.convert("1").save(path)
    elif kind == "palette":
        image.quantize(16).save(path)
    elif kind == "palette-transparent":
        image.quantize(16).save(path, transparency=3)
    elif kind == "grey-alpha":
        Image.fromarray(noise(23, 37, 2), "LA").save(path)
    elif kind == "alpha":
        Image.fromarray(noise(23, 37, 4)).save(path, **({"lossless": True} if ending == "webp" else {}))
    elif kind == "cmyk":
        image.convert("CMYK").save(path, quality=95)
    elif kind == "xmp-rotated":
        image.save(path, xmp=_XMP.encode(), quality=95)
    elif kind == "animated":
        image.save(path, save_all=True, append_images=[Image.fromarray(255 - blocks)])
    elif ending == "jpg":
        image.save(path, quality=95, **rotated)
    elif ending == "webp":
        image.save(path, lossless=True, **rotated)
    elif ending == "tif" and rotated:
        image.save(path, tiffinfo={0x0112: 6})
    else:
        image.save(path, **rotated)
    return find_picture(folder, name)
