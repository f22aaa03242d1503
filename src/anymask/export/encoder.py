"""The image encoder as a graph that takes pictures as they are: resizing, normalising and padding are part of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from anymask.export.check import Agreement, compare_encoder
from anymask.export.files import DEFAULT_OPSET, Exported, Part, check_request, in_float32, trace, write
from anymask.models.sam import Sam
from anymask.segment.segmenter import Segmenter

if TYPE_CHECKING:
    import onnx

OUTPUT = "image_embeddings"

# Exporters turn the resizing of bytes into that of floats, which rounds otherwise, so this part is written in ONNX.
# Pixels are resized as bytes, because Pillow does so, and runs of zeros are the padding of normalised pixels.
_PREPARATION = """
<ir_version: 8, opset_import: ["" : {opset}]>
preparation (uint8[height, width, channels] image) => (float[1, 3, {side}, {side}] prepared) {{
  zero = Constant <value = int64[1] {{0}}> ()
  one = Constant <value = int64[1] {{1}}> ()
  two = Constant <value = int64[1] {{2}}> ()
  three = Constant <value = int64[1] {{3}}> ()
  colours = Slice (image, zero, three, two)
  pixels = Unsqueeze (colours, zero)
  size = Shape <start = 0, end = 2> (image)
  size_float = Cast <to = 1> (size)
  longest = ReduceMax <keepdims = 0> (size_float)
  side = Constant <value_float = {side}.0> ()
  scale = Div (side, longest)
  scaled = Mul (size_float, scale)
  half = Constant <value_float = 0.5> ()
  raised = Add (scaled, half)
  floored = Floor (raised)
  pixel = Constant <value_float = 1.0> ()
  kept = Max (floored, pixel)
  inner = Cast <to = 7> (kept)
  resized_shape = Concat <axis = 0> (one, inner, three)
  resized = Resize <mode = "linear", antialias = 1, coordinate_transformation_mode = "half_pixel"> (
    pixels, , , resized_shape)
  numbers = Cast <to = 1> (resized)
  mean = Constant <value = float[3] {{{mean}}}> ()
  centred = Sub (numbers, mean)
  deviation = Constant <value = float[3] {{{deviation}}}> ()
  normalised = Div (centred, deviation)
  planes = Transpose <perm = [0, 3, 1, 2]> (normalised)
  square = Constant <value = int64[2] {{{side}, {side}}}> ()
  missing = Sub (square, inner)
  before = Constant <value = int64[6] {{0, 0, 0, 0, 0, 0}}> ()
  paddings = Concat <axis = 0> (before, missing)
  prepared = Pad <mode = "constant"> (planes, paddings)
}}
"""


def _numbers(values: torch.Tensor) -> str:
    return ", ".join(repr(float(value)) for value in values.flatten())


def _preparation(network: Sam, opset: int) -> onnx.ModelProto:
    from onnx import parser

    text = _PREPARATION.format(
        opset=opset,
        side=network.input_side,
        mean=_numbers(network.pixel_mean),
        deviation=_numbers(network.pixel_std),
    )
    return parser.parse_model(text)


def _put_before(first: onnx.ModelProto, second: onnx.ModelProto) -> onnx.ModelProto:
    """Feed a graph's only output into the only input of another, into which it is built."""
    link, entrance = first.graph.output[0].name, second.graph.input[0].name

    def rename(name: str) -> str:
        # An empty name stands for an input that is left out.
        if not name or name == first.graph.input[0].name:
            return name
        return entrance if name == link else f"preparation/{name}"

    nodes = []
    for node in first.graph.node:
        node.input[:] = [rename(name) for name in node.input]
        node.output[:] = [rename(name) for name in node.output]
        nodes.append(node)
    nodes += second.graph.node
    del second.graph.node[:]
    second.graph.node.extend(nodes)
    second.graph.input[0].CopyFrom(first.graph.input[0])
    return second


def export_encoder(
    segmenter: Segmenter,
    path: str | Path,
    *,
    opset: int = DEFAULT_OPSET,
    check: bool = True,
) -> Exported:
    """Write the image encoder, with all that comes before it, as an ONNX file.

    Its input ``image`` is RGB uint8 ``[height, width, 3]`` of any size, after EXIF rotation; a fourth channel, such as
    the alpha of a browser's canvas, is not looked at. The graph resizes it (antialiased bilinear, as Pillow does),
    normalises and pads it. Its output ``image_embeddings`` is float32 ``[1, C, g, g]``, as decoders take it. All that
    is left to the program is to scale the points: by the resized width over the width, and likewise for heights, where
    the resized size is ``max(1, floor(size * image_size / longest + 0.5))``.

    Args:
        segmenter: the model.
        path: the file; its name ends in ``.onnx``. It is written beside its place and renamed. Weights of more than
            2 GB (``vit_h``) are in a second file, ``NAME.onnx.data``, which must stay beside it.
        opset: ONNX operator set.
        check: compare the file with the network, in ONNX Runtime, before it gets its name.

    Raises:
        ExportError: the path or opset cannot be used, or the file does not compute what the network does.
        MissingPackageError: onnx, onnxscript or onnxruntime is not installed.
        OSError: the file cannot be written.
    """
    path = check_request(path, opset)
    exact = in_float32(segmenter)
    network = exact.network
    side = network.input_side
    core = trace(network.image_encoder, {"prepared": torch.zeros(1, 3, side, side)}, (OUTPUT,), {}, {}, opset)
    model = _put_before(_preparation(network, opset), core)

    def agree(file: Path) -> Agreement:
        return compare_encoder(file, exact, ((side * 2 // 3, side), (side, side // 2 + 1)))

    return write(model, path, exact, Part("encoder"), agree if check else None)
