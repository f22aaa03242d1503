import hashlib
import os
from dataclasses import replace

import pytest

from anymask.models.checkpoints import CheckpointError
from anymask.models.registry import MODELS, UnknownModelError
from anymask.models.verification import ChecksumError, Verification, verify_weights, weights_status

CONTENT = b"weights" * 1000
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Where the weights of "small" would be."""
    monkeypatch.setenv("ANYMASK_HOME", str(tmp_path))
    facts = {"name": "small", "source": "https://host/small.pth", "file_name": "small.pth", "sha256": HASH}
    monkeypatch.setitem(MODELS, "small", replace(MODELS["pocket"], size=len(CONTENT), **facts))
    return tmp_path / "small.pth"


def test_what_is_known_of_a_file_before_and_after_it_was_read(path):
    assert weights_status("small") == weights_status("small")
    assert weights_status("small").verification is Verification.ABSENT
    assert weights_status("small").path is None
    path.write_bytes(CONTENT)
    assert weights_status("small").verification is Verification.UNCHECKED
    assert weights_status("small").sha256 == ""
    calls = []
    weights = verify_weights("small", lambda *call: calls.append(call))
    assert weights.verification is Verification.VERIFIED
    assert weights.sha256 == HASH
    assert calls[-1] == ("checking", len(CONTENT), len(CONTENT))
    assert weights_status("small") == weights


@pytest.mark.parametrize("change", ["content", "time", "record"])
def test_a_file_that_changed_is_not_called_verified(path, change):
    path.write_bytes(CONTENT)
    verify_weights("small")
    if change == "content":
        path.write_bytes(CONTENT + b"more")
    elif change == "time":
        os.utime(path, ns=(0, 0))
    else:
        path.with_name(".small.pth.checked.json").write_text('{"sha256": "' + HASH + '"}')
    assert weights_status("small").verification is Verification.UNCHECKED


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONTENT[:-1], "it has 6,999 bytes, that one has 7,000"),
        (CONTENT[:-1] + b"x", f"its SHA-256 is [0-9a-f]{{64}}, expected was {HASH}"),
    ],
)
def test_another_file_is_named_and_left_alone(path, content, message):
    path.write_bytes(content)
    with pytest.raises(ChecksumError, match=rf"small\.pth is not the published file of small: {message}.*--force"):
        verify_weights("small")
    assert path.read_bytes() == content
    assert weights_status("small").verification is Verification.UNCHECKED


def test_a_folder_that_cannot_be_written_does_not_hinder(path):
    path.write_bytes(CONTENT)
    path.with_name(".small.pth.checked.json").mkdir()
    assert verify_weights("small").verification is Verification.VERIFIED
    assert weights_status("small").verification is Verification.UNCHECKED


@pytest.mark.usefixtures("path")
def test_what_is_missing_or_unknown():
    with pytest.raises(CheckpointError, match="small are not here"):
        verify_weights("small")
    with pytest.raises(UnknownModelError):
        verify_weights("large")
    with pytest.raises(UnknownModelError):
        weights_status("large")


def test_the_package_needs_no_check():
    assert weights_status("pocket") == verify_weights("pocket")
    assert weights_status("pocket").verification is Verification.PACKAGE
