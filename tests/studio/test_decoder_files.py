"""The decoder's files, made as the studio makes them: in another process, once."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import onnxruntime
import pytest
from filelock import FileLock

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


def test_those_that_nobody_uses_go_when_others_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_files, "export_part", lambda _, path, part: path.write_text(part))
    decoders, day = tmp_path / "decoders", 86_400
    ages = {"kept-by-use": 0.5, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "being-made": 6}
    for name in ages:
        make_files("pocket", decoders / name)
    (decoders / "somebodys").mkdir()
    for name, days in ages.items():
        os.utime(decoders / name, (time.time() - days * day,) * 2)
    # Nothing goes while nothing is made.
    make_files("pocket", decoders / "second")
    os.utime(decoders / "second", (time.time() - 2 * day,) * 2)
    assert len(list(decoders.iterdir())) == 7
    with FileLock(decoders / "being-made" / "making.lock"):
        make_files("pocket", decoders / "new")
    there = {path.name for path in decoders.iterdir()}
    assert there == {"new", "kept-by-use", "second", "third", "being-made", "somebodys"}
    # What was used today stays, however many there are.
    for number in range(decoder_files.MOST_KEPT + 1):
        make_files("pocket", decoders / f"today-{number}")
    there = {path.name for path in decoders.iterdir()}
    today = {f"today-{number}" for number in range(decoder_files.MOST_KEPT + 1)}
    assert there == today | {"new", "kept-by-use", "somebodys"}


def test_use_keeps_them(home: Path) -> None:
    decoders = home / "studio" / "decoders"
    message = prepared(decoders).message()
    assert message.files is not None
    key = message.files.click.split("/")[-2]
    long_ago = (1_000_000.0, 1_000_000.0)
    os.utime(decoders / key, long_ago)
    made = prepared(decoders)
    assert (decoders / key).stat().st_mtime > time.time() - 60
    os.utime(decoders / key, long_ago)
    assert made.path(key, "studio") is not None
    assert (decoders / key).stat().st_mtime > time.time() - 60


def test_closing_stops_it(tmp_path: Path) -> None:
    made, settled = DecoderFiles("pocket", tmp_path), threading.Event()
    made.prepare(anymask.load("pocket", device="cpu"), settled.set)
    made.close()
    assert settled.wait(PATIENCE)
    assert made.message().state == "preparing"
    assert not list(tmp_path.rglob("*.onnx"))
