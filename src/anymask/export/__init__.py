"""Networks as ONNX files, for browsers and other run-times."""

from anymask.export.check import Agreement
from anymask.export.decoder import DecoderGraph, export_decoder
from anymask.export.encoder import export_encoder
from anymask.export.errors import ExportError
from anymask.export.files import Exported, check_request
from anymask.export.parts import export_part
from anymask.export.studio import export_studio, export_studio_image, studio_image_part
from anymask.export.studio_refine import export_studio_refine

__all__ = [
    "Agreement",
    "DecoderGraph",
    "ExportError",
    "Exported",
    "check_request",
    "export_decoder",
    "export_encoder",
    "export_part",
    "export_studio",
    "export_studio_image",
    "export_studio_refine",
    "studio_image_part",
]
