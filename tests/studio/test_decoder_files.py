"""The decoder's files, made as the studio makes them: in another process, once."""

from __future__ import annotations

import threading
from pathlib import Path

import onnxruntime
import pytest

import anymask
from anymask.studio import decoder_files
from anymask.studio.decoder_files import DecoderFiles, export_version, make_files

PATIENCE = 300


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that brings no files, whatever was built in this checkout."""
    folder = tmp_path / "shipped"
    monkeypatch.setattr(decoder_files, "SHIPPED", folder)
    return folder


def prepared(decoders: Path, model: str = "pocket") -> DecoderFiles:
    made, settled = DecoderFiles(model, decoders), threading.Event()
    assert made.message().state == "preparing"
    made.prepare(anymask.load("pocket", device="cpu"), settled.set)
    assert settled.wait(PATIENCE)
    return made


def test_they_are_made_once_and_are_the_models(home: Path) -> None:
    decoders = home / "studio" / "decoders"
    made = prepared(decoders)
    message = made.message()
    assert (message.state, message.reason) == ("ready", None)
    assert message.files is not None
    for part, address in [
        ("studio-image", message.files.image),
        ("studio", message.files.click),
        ("studio-refine", message.files.refine),
    ]:
        key, file_name = address.removeprefix("/api/decoder/").split("/")
        assert file_name == f"{part}.onnx"
        path = made.path(key, part)
        assert path is not None
        facts = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
        assert (facts["part"], facts["model"]) == (part, "pocket")
        assert key == f"{anymask.load('pocket').weights_fingerprint}-{export_version()}"
        before = path.stat().st_mtime_ns
        make_files("pocket", path.parent)
        assert path.stat().st_mtime_ns == before
    assert made.path("0123", "studio") is None
    assert made.path(key, "../studio") is None
    again = DecoderFiles("pocket", decoders)
    again.prepare(anymask.load("pocket", device="cpu"), lambda: None)
    assert again.message() == message


def test_those_in_the_package_come_first(home: Path, tmp_path: Path, shipped: Path) -> None:
    made = prepared(home / "studio" / "decoders").message()
    assert made.files is not None
    key = made.files.click.split("/")[-2]
    shipped.mkdir()
    (shipped / key).symlink_to(home / "studio" / "decoders" / key)
    brought = DecoderFiles("pocket", tmp_path / "empty")
    brought.prepare(anymask.load("pocket", device="cpu"), lambda: None)
    assert brought.message() == made
    assert brought.path(key, "studio") == shipped / key / "studio.onnx"
    assert not (tmp_path / "empty").exists()


def test_what_goes_wrong_is_said(tmp_path: Path) -> None:
    made = prepared(tmp_path, model="no-such-model")
    message = made.message()
    assert (message.state, message.files) == ("failed", None)
    assert message.reason is not None
    assert message.reason.startswith("the decoder for the page cannot be made: unknown model 'no-such-model'")


def test_closing_stops_it(tmp_path: Path) -> None:
    made, settled = DecoderFiles("pocket", tmp_path), threading.Event()
    made.prepare(anymask.load("pocket", device="cpu"), settled.set)
    made.close()
    assert settled.wait(PATIENCE)
    assert made.message().state == "preparing"
    assert not list(tmp_path.rglob("*.onnx"))
