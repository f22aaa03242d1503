"""Anything that holds a picture becomes RGB pixels, uint8 [H, W, 3], by one rule.

The rule:

- The EXIF rotation of a file or Pillow image is applied. Only the first page or frame is read.
- uint8 RGB stays as it is. Grey is repeated over three channels; palette, CMYK and other colour modes
  are converted to RGB. Booleans become 0 and 255.
- Alpha is composited over white.
- Wider integers (12-bit cameras, microscopes, satellites, 16-bit files) are scaled linearly, all channels
  alike. If the picture uses a quarter or more of its type's range (between its 0.1st and 99.9th
  percentiles), the whole range becomes 0 to 255: for 16 bits, division by 257, so that a photo saved with
  16 bits gives the pixels it gives with 8. Otherwise those two percentiles become 0 and 255, because
  unstretched the picture would be nearly black. Convert to uint8 yourself for any other stretch, and do so
  for a series of frames that must be stretched alike.
- Floats must lie in 0..1, which becomes 0 to 255.
"""

import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, TiffImagePlugin

from anymask.segment.errors import ImageError, ImageNotFoundError

DEFAULT_MAX_PIXELS = 200_000_000
"""Images of more pixels than this are refused before they are decoded, unless the caller says otherwise."""

FILE_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "AVIF", "PPM")
"""Pillow's names of the file formats read; the others stay closed, as some run external programs."""

ImageSource = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | NDArray[Any]
"""What `read_image` takes."""

_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
_TIFF_WIDTH, _TIFF_HEIGHT = 0x0100, 0x0101
_STRETCH_BELOW = 0.25
_PERCENTILES = (0.1, 99.9)


def read_image(source: ImageSource, *, max_pixels: int | None = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Read an image as RGB, uint8 [H, W, 3], contiguous, after EXIF rotation.

    Args:
        source: a path, the bytes of a file, an open binary file (read from its position), a Pillow image,
            or an array [H, W], [H, W, 1], [H, W, 3] (RGB) or [H, W, 4] (RGBA). A contiguous uint8 RGB array
            is returned itself, not copied.
        max_pixels: refuse images of more pixels, before decoding them; None for no limit.

    The module's docstring has the rule for grey, alpha, palettes and more than 8 bits.

    Raises:
        ImageNotFoundError: the path names nothing (it is also a FileNotFoundError).
        ImageError: the source is no image, is broken or too large, or has no agreed conversion.
    """
    if isinstance(source, np.ndarray):
        _check_limit(source.shape[1::-1] if source.ndim >= 2 else (0, 0), max_pixels, "the array")
        return _rgb_from_array(source, "the array")
    if isinstance(source, Image.Image):
        return _rgb_from_pillow(source, max_pixels, "the Pillow image")
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        with _opened(path) as stream:
            return _read_stream(stream, max_pixels, str(path))
    if isinstance(source, bytes | bytearray | memoryview):
        return _read_stream(io.BytesIO(source), max_pixels, f"the image of {len(source)} bytes")
    if hasattr(source, "read"):
        return _read_file_object(source, max_pixels)
    hint = "; call .cpu().numpy() on a tensor first" if hasattr(source, "numpy") else ""
    raise ImageError(
        f"an image is a path, bytes, a binary file, a Pillow image or a NumPy array, got {type(source).__name__}{hint}"
    )


def image_size(
    source: str | os.PathLike[str] | bytes, *, max_pixels: int | None = DEFAULT_MAX_PIXELS
) -> tuple[int, int]:
    """Tell the (height, width) of the picture that :func:`read_image` gives, from the header, without decoding it.

    Args:
        source: a path, or the bytes of a file.
        max_pixels: refuse images of more pixels; None for no limit.

    Raises:
        ImageNotFoundError: the path names nothing (it is also a FileNotFoundError).
        ImageError: the source is no image, is too large, or its header is broken.
    """
    if isinstance(source, bytes):
        return _stream_size(io.BytesIO(source), max_pixels, f"the image of {len(source)} bytes")
    path = Path(source)
    with _opened(path) as stream:
        return _stream_size(stream, max_pixels, str(path))


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as stream:
            yield stream
    except FileNotFoundError:
        raise ImageNotFoundError(f"there is no image at {path}") from None
    except IsADirectoryError:
        raise ImageError(f"{path} is a directory, not an image; pass one file of it at a time") from None
    except ImageError:
        raise
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}") from error


def _read_file_object(source: IO[bytes], max_pixels: int | None) -> NDArray[np.uint8]:
    name = getattr(source, "name", None)
    label = name if isinstance(name, str) else "the open file"
    data = source.read()
    if not isinstance(data, bytes):
        raise ImageError(f"{label} is not open for reading bytes; open it with mode 'rb'")
    return _read_stream(io.BytesIO(data), max_pixels, label)


def _read_stream(stream: IO[bytes], max_pixels: int | None, name: str) -> NDArray[np.uint8]:
    if stream.seek(0, os.SEEK_END) == 0:
        raise ImageError(f"{name} is empty")
    with _open_pillow(stream, name) as image:
        _check_limit(image.size, max_pixels, name)
        if not _has_wide_colour(image):
            return _rgb_from_pillow(image, max_pixels, name)
        # Pillow keeps only the upper byte of each 16-bit colour sample, which turns 12-bit data black.
        # Its decoding still tells whether the file is sound, which OpenCV's does not.
        _load(image, name)
        # OpenCV turns TIFF files upright whatever the flags say, and leaves the others as stored.
        orientation = 1 if image.format == "TIFF" else _orientation(image)
        stream.seek(0)
        encoded = np.frombuffer(stream.read(), dtype=np.uint8)
        flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
        decoded = cv2.imdecode(cast(Any, encoded), flags)
        if decoded is None:
            raise ImageError(f"{name} holds 16-bit colour that cannot be decoded; save it as 8-bit or PNG")
        pixels = cast(NDArray[Any], decoded)
        if pixels.ndim == 3:
            pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
        return _rotated(_rgb_from_array(pixels, name), orientation)


def _open_pillow(stream: IO[bytes], name: str) -> ImageFile.ImageFile:
    """Read the header only. `Image.open` itself would apply Pillow's own process-wide pixel limit."""
    Image.init()
    stream.seek(0)
    prefix = stream.read(16)
    reasons = []
    for file_format in FILE_FORMATS:
        if file_format not in Image.OPEN:
            continue
        factory, accept = Image.OPEN[file_format]
        accepted = accept(prefix) if accept else True
        if isinstance(accepted, str):
            reasons.append(accepted)
        if accepted is not True and (isinstance(accepted, str) or not accepted):
            continue
        stream.seek(0)
        try:
            # These two apply Pillow's limit while they read the header.
            guarded = file_format in ("WEBP", "GIF")
            with _pillows_limit_lifted() if guarded else nullcontext():
                return factory(stream, "")
        except MemoryError:
            raise
        except Exception as error:
            reason = f"not decodable as {file_format} ({_one_line(error)})"
            if file_format == "TIFF":
                reason += "; open multi-band and floating-point colour files yourself and pass an array"
            reasons.append(reason)
    accepted_formats = ", ".join(FILE_FORMATS)
    reason = reasons[0] if reasons else f"not an image of a known format ({accepted_formats})"
    raise ImageError(f"{name} cannot be read: {reason}")


def _stream_size(stream: IO[bytes], max_pixels: int | None, name: str) -> tuple[int, int]:
    if stream.seek(0, os.SEEK_END) == 0:
        raise ImageError(f"{name} is empty")
    with _open_pillow(stream, name) as image:
        _check_limit(image.size, max_pixels, name)
        width, height = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            # Some versions of Pillow have turned this size already, and others have not.
            width, height = image.tag_v2[_TIFF_WIDTH], image.tag_v2[_TIFF_HEIGHT]
        orientation = _header_orientation(image, stream, name)
    return (width, height) if orientation in _SIDEWAYS else (height, width)


def _header_orientation(image: ImageFile.ImageFile, stream: IO[bytes], name: str) -> int:
    if image.format != "PNG" or "exif" in image.info:
        return _orientation(image)
    # Pillow decodes a PNG file before it answers, because the rotation may be said after the pixels.
    place = stream.tell()
    if not _has_chunks_after_pixels(stream):
        return _orientation(image, partial(Image.Image.getexif, image))
    stream.seek(place)
    _load(image, name)
    return _orientation(image)


def _has_chunks_after_pixels(png: IO[bytes]) -> bool:
    """Tell whether a PNG file says something after its pixels that may be a rotation."""
    position, after_pixels = 8, False
    while True:
        png.seek(position)
        header = png.read(8)
        kind = header[4:]
        if len(header) < 8 or kind == b"IEND":
            return False
        if after_pixels and kind in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
            return True
        after_pixels |= kind == b"IDAT"
        position += 12 + int.from_bytes(header[:4], "big")


def _rgb_from_pillow(image: Image.Image, max_pixels: int | None, name: str) -> NDArray[np.uint8]:
    _check_limit(image.size, max_pixels, name)
    # Pillow turns TIFF files itself while loading and then drops the tag, so load before asking for it.
    _load(image, name)
    orientation = _orientation(image)
    try:
        if image.mode in ("RGB", "L") and not image.has_transparency_data:
            # A copy, because Pillow hands out memory that may not be written to.
            pixels: NDArray[Any] = np.array(image)
        elif image.mode in ("1", "F") or image.mode.startswith("I"):
            pixels = np.asarray(image)
        elif image.has_transparency_data:
            pixels = np.array(image.convert("RGBA"))
        else:
            pixels = np.array(image.convert("RGB"))
    except MemoryError:
        raise
    except Exception as error:
        raise ImageError(f"{name} has the mode {image.mode!r}, which cannot become RGB: {error}") from error
    return _rotated(_rgb_from_array(pixels, name), orientation)


class _PillowLimit:
    lock = threading.Lock()
    lifters = 0
    saved: int | None = None


@contextmanager
def _pillows_limit_lifted() -> Iterator[None]:
    """Suspend Pillow's process-wide pixel limit, where `max_pixels` has been or will be checked instead.

    Other threads that use Pillow go without it meanwhile, so this is only for where there is no way round.
    """
    with _PillowLimit.lock:
        if _PillowLimit.lifters == 0:
            _PillowLimit.saved, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _PillowLimit.lifters += 1
    try:
        yield
    finally:
        with _PillowLimit.lock:
            _PillowLimit.lifters -= 1
            if _PillowLimit.lifters == 0:
                Image.MAX_IMAGE_PIXELS = _PillowLimit.saved


def _load(image: Image.Image, name: str) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    # TIFF applies Pillow's limit once more while decoding; None may mean that another thread lifted it.
    over = image.format == "TIFF" and (limit is None or image.width * image.height > limit)
    try:
        with _pillows_limit_lifted() if over else nullcontext():
            image.load()
    except MemoryError:
        raise
    except Exception as error:
        raise ImageError(f"{name} is broken or incomplete: {_one_line(error)}") from error


def _rgb_from_array(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        planar = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        raise ImageError(
            f"{name} has the shape {list(array.shape)}; an image is [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]"
            + ("; move the channels last with .transpose(1, 2, 0)" if planar else "")
        )
    colour = array if array.ndim == 2 or array.shape[2] != 4 else array[..., :3]
    pixels = _to_bytes(colour, name)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        plane = np.ascontiguousarray(pixels.reshape(pixels.shape[:2]))
        return np.repeat(plane[:, :, None], 3, axis=2)
    if colour is array:
        return np.ascontiguousarray(pixels)
    return _over_white(pixels, _alpha_to_bytes(array[..., 3], name))


def _to_bytes(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return cast(NDArray[np.uint8], array)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):
            raise ImageError(
                f"{name} holds floats from {low:g} to {high:g}; floats must lie in 0..1, "
                "so scale them or convert to uint8"
            )
        whole: NDArray[np.uint8] = np.rint(array * array.dtype.type(255)).astype(np.uint8)
        return whole
    if np.issubdtype(array.dtype, np.integer):
        return _wide_to_bytes(array)
    raise ImageError(f"{name} holds {array.dtype}; accepted are uint8, wider integers, bool and floats in 0..1")


def _wide_to_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype.itemsize > 2 and array.min() >= 0 and array.max() <= 65535:
        # Pillow and others hand out 16-bit samples in wider integers.
        array = array.astype(np.uint16)
    limits = np.iinfo(array.dtype)
    low, high = (float(value) for value in np.percentile(_sample(array), _PERCENTILES))
    full = float(limits.max) - float(limits.min)
    if low == high or high - low >= _STRETCH_BELOW * full:
        low, high = float(limits.min), float(limits.max)
    scaled: NDArray[Any] = array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)
    scaled -= low
    scaled *= 255.0 / (high - low)
    result: NDArray[np.uint8] = np.rint(scaled, out=scaled).clip(0, 255, out=scaled).astype(np.uint8)
    return result


def _sample(array: NDArray[Any]) -> NDArray[Any]:
    """Percentiles of a large picture come from an even grid of its pixels: sorting them all takes seconds."""
    step = max(1, int((array.size / 4_000_000) ** 0.5))
    return array[::step, ::step]


def _alpha_to_bytes(alpha: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Alpha has a meaning of its own, so it is never stretched: its type's maximum is opaque."""
    if alpha.dtype != np.uint8 and np.issubdtype(alpha.dtype, np.integer):
        share = np.clip(alpha / float(np.iinfo(alpha.dtype).max), 0, 1)
        return np.rint(share * 255).astype(np.uint8)
    return _to_bytes(alpha, name)


def _over_white(colour: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if (alpha == 255).all():
        return np.ascontiguousarray(colour)
    result = np.empty(colour.shape, dtype=np.uint8)
    weight = alpha.astype(np.uint16)
    for channel in range(3):
        blended = colour[..., channel] * weight + np.uint16(255) * (np.uint16(255) - weight)
        result[..., channel] = (blended + np.uint16(127)) // np.uint16(255)
    return result


def _has_wide_colour(image: ImageFile.ImageFile) -> bool:
    samples = any(";16" in str(tile[3]) for tile in image.tile)
    return samples and image.mode in ("RGB", "RGBA", "RGBX", "LA")


def _orientation(image: Image.Image, get_exif: Callable[[], Image.Exif] | None = None) -> int:
    try:
        return int((get_exif or image.getexif)().get(_EXIF_ORIENTATION, 1))
    except Exception:
        # A damaged EXIF block must not cost the user a sound picture.
        return 1


def _rotated(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn and mirror stored pixels upright; EXIF numbers the eight ways a camera can be held."""
    if orientation in _SIDEWAYS:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _check_limit(size: tuple[int, ...], max_pixels: int | None, name: str) -> None:
    width, height = size
    if max_pixels is not None and width * height > max_pixels:
        raise ImageError(
            f"{name} has {width} x {height} pixels, over the limit of {max_pixels:,}; "
            "pass a larger max_pixels (None for no limit) or cut it into tiles"
        )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
