"""From a module to an ONNX file: traced, named, described, made smaller, checked, and put in its place."""

from __future__ import annotations

import copy
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from anymask.atomic import write_atomically
from anymask.export.check import Agreement
from anymask.export.errors import ExportError
from anymask.segment.errors import MissingPackageError
from anymask.segment.segmenter import Segmenter

if TYPE_CHECKING:
    import onnx

DEFAULT_OPSET = 18
OPSETS = range(18, 24)
"""Operator sets that can be asked for: 18 is the first in which an image can be made smaller as Pillow does."""

POINT_AXES = {"point_coords": {1: "num_points"}, "point_labels": {1: "num_points"}}
"""What makes a decoder take any number of points; see :func:`trace`."""

MAX_FILE_BYTES = 2_000_000_000
"""The format allows 2 GiB in one file; what is larger keeps its weights in a second one."""


@dataclass(frozen=True)
class Part:
    """Which part of a model a file holds.

    Attributes:
        name: "decoder", "encoder", "studio", "studio-image" or "studio-refine".
        variant: what else tells its files apart; "" for nothing.
        eight_bit: whether matrix products are in 8 bits.
    """

    name: str
    variant: str = ""
    eight_bit: bool = False


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the file.
        weights_path: the file beside it that holds its weights, where they are too large for one file; else None.
        size: bytes of both.
        opset: its ONNX operator set.
        agreement: how far it computes what the network does; None where it was not checked.
    """

    path: Path
    weights_path: Path | None
    size: int
    opset: int
    agreement: Agreement | None


def check_request(path: str | Path, opset: int) -> Path:
    """Check, before minutes are spent, where and in which operator set a file is wanted.

    Raises:
        ExportError: the name does not end in ``.onnx``, its folder is missing, or the operator set is not offered.
        MissingPackageError: onnx, onnxscript or onnxruntime is not installed.
    """
    path = Path(path)
    if path.is_dir():
        raise ExportError(f"{path} is a folder: give the name of a file in it, such as {path / 'decoder.onnx'}")
    if path.suffix != ".onnx":
        raise ExportError(f"an ONNX file's name ends in .onnx, and {path} does not: try {path.with_suffix('.onnx')}")
    if not path.parent.is_dir():
        raise ExportError(f"there is no folder {path.parent} for {path.name}: make it first")
    if opset not in OPSETS:
        raise ExportError(f"opset {opset} is not offered: use {OPSETS.start} to {OPSETS.stop - 1}")
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            f"export needs onnx, onnxruntime and onnxscript ({error}): pip install 'anymask[onnx]'"
        ) from error
    return path


def in_float32(segmenter: Segmenter) -> Segmenter:
    """The same model on the processor and in float32, which is what files compute in; shared where it can be."""
    network = segmenter.network if segmenter.device.type == "cpu" else copy.deepcopy(segmenter.network)
    return Segmenter(network, segmenter.name, "cpu", "float32")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's and the quantiser's remarks to their developers from the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def trace(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    dynamic_inputs: Mapping[str, Mapping[int, str]],
    dynamic_outputs: Mapping[str, Mapping[int, str]],
    opset: int,
) -> onnx.ModelProto:
    """Turn a module into an ONNX graph.

    Args:
        module: takes the inputs in their order.
        inputs: an example of each.
        outputs: what to call the results.
        dynamic_inputs: the axes that may have any length, by input, and what to call these lengths.
        dynamic_outputs: the same for results, beside what follows from the inputs.
        opset: ONNX operator set.

    Raises:
        ExportError: the module does something that ONNX, or PyTorch's exporter, lacks.
    """
    lengths = {name: torch.export.Dim(name) for axes in dynamic_inputs.values() for name in axes.values()}
    shapes = tuple(
        {axis: lengths[length] for axis, length in dynamic_inputs.get(name, {}).items()} or None for name in inputs
    )
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                module,
                tuple(inputs.values()),
                dynamo=True,
                opset_version=opset,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=shapes,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ExportError(
            f"PyTorch {torch.__version__} cannot turn {type(module).__name__} into ONNX: {reason}"
        ) from error
    assert program is not None
    model = program.model_proto
    for output in model.graph.output:
        for axis, length in dynamic_outputs.get(output.name, {}).items():
            output.type.tensor_type.shape.dim[axis].dim_param = length
    _forget_the_source(model)
    return model


def _forget_the_source(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes about source files: a tenth of a decoder, and names of folders."""
    graph = model.graph
    for thing in [model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer]:
        del thing.metadata_props[:]
        thing.ClearField("doc_string")
    # Run-times infer the shapes in between themselves; some that are noted are those before an optimisation.
    del graph.value_info[:]


def describe(model: onnx.ModelProto, segmenter: Segmenter, part: Part) -> None:
    """Write into a graph what a program needs to know to use it."""
    import onnx

    network = segmenter.network
    facts = {
        "part": part.name,
        "variant": part.variant,
        "model": segmenter.name,
        "image_size": str(network.input_side),
        "embedding_size": str(network.prompt_encoder.image_embedding_size[0]),
        "low_res_size": str(segmenter.logits_side),
        "pixel_mean": ",".join(f"{value:g}" for value in network.pixel_mean.flatten().tolist()),
        "pixel_std": ",".join(f"{value:g}" for value in network.pixel_std.flatten().tolist()),
        "mask_threshold": f"{segmenter.mask_threshold:g}",
        "point_coords": "x,y in pixels of the image resized so that its long side is image_size",
        "point_labels": "1 on the object, 0 not on it, 2 and 3 corners of a box, -1 no point; a prompt without a box "
        "ends with one point 0,0 of the label -1",
        "weights": "8 bits" if part.eight_bit else "float32",
        "embedding_fingerprint": segmenter.fingerprint,
    }
    onnx.helper.set_model_props(model, {key: value for key, value in facts.items() if value})
    model.producer_name, model.producer_version = "anymask", version("anymask")
    model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import)


def _weight_bytes(model: onnx.ModelProto) -> int:
    return sum(len(weight.raw_data) for weight in model.graph.initializer)


def _in_eight_bits(model: onnx.ModelProto) -> onnx.ModelProto:
    """Quantise the weights of products, and their other sides as they come, as the published example does."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "eight-bit.onnx"
        quantize_dynamic(model, path, weight_type=QuantType.QUInt8)
        return onnx.load(path)


def write(
    model: onnx.ModelProto,
    path: Path,
    segmenter: Segmenter,
    part: Part,
    agree: Callable[[Path], Agreement] | None,
) -> Exported:
    """Describe a graph and write it, so that the file is whole, and agrees with the network, or is not there.

    Args:
        model: the graph.
        path: the file.
        segmenter: the model that it comes from.
        part: what it is of the model.
        agree: checks a file, and raises if it does not agree; None for no check.

    Raises:
        ExportError: the file does not compute what the network does; ``path`` is as it was.
        OSError: the file cannot be written; ``path`` is as it was.
    """
    import onnx

    if part.eight_bit:
        model = _in_eight_bits(model)
    describe(model, segmenter, part)
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    agreement: Agreement | None = None

    def check(file: Path) -> None:
        nonlocal agreement
        if agree is not None:
            agreement = agree(file)

    if _weight_bytes(model) <= MAX_FILE_BYTES:

        def fill(beside: Path) -> None:
            beside.write_bytes(model.SerializeToString())
            check(beside)

        write_atomically(path, fill)
        return Exported(path, None, path.stat().st_size, opset, agreement)
    weights_path = path.with_name(f"{path.name}.data")
    # The graph names the file of its weights, so that both are made in a folder of their own, and then moved.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
        inside = Path(folder) / path.name
        onnx.save_model(model, str(inside), save_as_external_data=True, location=weights_path.name)
        check(inside)
        inside.with_name(weights_path.name).replace(weights_path)
        inside.replace(path)
    size = path.stat().st_size + weights_path.stat().st_size
    return Exported(path, weights_path, size, opset, agreement)
