"""``anymask models``, as it is typed."""

import hashlib
import json
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from anymask.cli import app, main
from anymask.errors import AnymaskError
from anymask.models import transfer
from anymask.models.downloads import get_weights
from anymask.models.registry import MODELS
from models.serving import Site, serve, wait_until

CONTENT = random.Random(7).randbytes(250_000)
HASH = hashlib.sha256(CONTENT).hexdigest()

# In another process the model has to be put into the registry anew.
PROGRAM = """
import sys
from dataclasses import replace
from anymask.models import transfer
from anymask.models.registry import MODELS
transfer.FIRST_PAUSE_S = 0.0
facts = {"name": "small", "source": sys.argv[1], "file_name": "small.pth", "sha256": sys.argv[2], "size": 250_000}
MODELS["small"] = replace(MODELS["pocket"], **facts)
sys.argv[1:] = sys.argv[3:]
from anymask.cli import main
main()
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ANYMASK_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("ANYMASK_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(transfer, "FIRST_PAUSE_S", 0.0)
    return tmp_path / "home"


@pytest.fixture
def site() -> Iterator[Site]:
    with serve(Site(CONTENT)) as running:
        yield running


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, site: Site, home: Path) -> Path:
    """Where the weights of the model "small" go, which the site has."""
    facts = {"name": "small", "source": site.url, "file_name": "small.pth", "sha256": HASH}
    monkeypatch.setitem(MODELS, "small", replace(MODELS["pocket"], size=len(CONTENT), **facts))
    return home / "small.pth"


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["models", *map(str, arguments)], catch_exceptions=False)


def refused(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> str:
    """Run as a program does, and return the line with which it fails."""
    monkeypatch.setattr(sys, "argv", ["anymask", "models", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    line = str(caught.value.code)
    assert line.startswith("anymask: ")
    assert "\n" not in line
    return line


def start(site: Site, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, site.url, HASH, "models", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_list_says_what_is_here(small: Path, site: Site) -> None:
    done = run()
    assert done.exit_code == 0
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "in the package" in rows["pocket"]
    assert "375.0 MB" in rows["vit_b"]
    assert "2.56 GB" in rows["vit_h"]
    assert "641.1 M" in rows["vit_h"]
    assert "not here" in rows["vit_b"]
    assert f"vit_b: {MODELS['vit_b'].source}\n" in done.stdout
    run("get", "small")
    done = run("list")
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "verified" in rows["small"]
    assert f"small: {site.url}; here: {small}\n" in done.stdout


def test_the_list_as_json(small: Path, site: Site, tmp_path: Path) -> None:
    run("get", "small")
    done = run("--json", "-")
    assert done.stderr == ""
    family = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert list(family) == list(MODELS)
    assert family["small"] == {
        "name": "small",
        "description": MODELS["pocket"].description,
        "image_size": 512,
        "parameters": MODELS["pocket"].parameters,
        "size": 250_000,
        "licence": "Apache-2.0",
        "source": site.url,
        "published_sha256": HASH,
        "path": str(small),
        "status": "verified",
        "sha256": HASH,
    }
    assert family["pocket"]["status"] == "in the package"
    assert family["vit_b"]["path"] is None
    assert family["vit_b"]["status"] == "not here"
    assert run("list", "--json", tmp_path / "family.json").stdout == ""
    assert json.loads((tmp_path / "family.json").read_text()) == list(family.values())


def test_get_prints_the_path_and_nothing_else(small: Path, site: Site) -> None:
    done = run("get", "small", "pocket", "small")
    assert done.exit_code == 0
    assert done.stdout == f"{small}\n" + run("path", "pocket").stdout
    assert done.stderr.splitlines() == ["small is verified", "pocket is in the package"]
    assert small.read_bytes() == CONTENT
    assert len(site.requests) == 1


def test_a_file_without_a_published_hash_is_said_to_be_unverified(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "small", replace(MODELS["small"], sha256=""))
    monkeypatch.setattr("anymask.models.verification._check_content", lambda *_: None)
    done = run("get", "small")
    assert done.exit_code == 0
    assert done.stderr == f"small is unverified, because no hash was published; its SHA-256 is {HASH}\n"
    assert done.stdout == f"{small}\n"


def test_path_is_for_scripts(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "the weights of small are not here: run `anymask models get small`" in refused(monkeypatch, "path", "small")
    run("get", "small")
    assert run("path", "small").stdout == f"{small}\n"
    small.parent.joinpath("file.pth").touch()
    assert "unknown model" in refused(monkeypatch, "path", small.parent / "file.pth")


def test_verify_reads_what_is_here(small: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("verify").stderr == "no downloaded weights are here\n"
    assert "small are not here" in refused(monkeypatch, "verify", "small")
    home.mkdir()
    small.write_bytes(CONTENT)
    assert "not checked" in run("list").stdout
    assert run("verify").stdout == f"small: verified {HASH}\n"
    assert run("verify", "pocket").stdout == "pocket: in the package\n"
    small.write_bytes(CONTENT[::-1])
    (home / MODELS["vit_b"].file_name).write_bytes(b"short")
    line = refused(monkeypatch, "verify")
    actual = hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert f"small.pth is not the published file of small: its SHA-256 is {actual}, expected was {HASH}" in line
    assert "is not the published file of vit_b: it has 5 bytes" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["get", "small", "vit_x"], "unknown model 'vit_x'; known models: pocket"),
        (["get", "small", "--source", "gopher://host/file"], "cannot download by gopher"),
        (["get", "small", "--source", "none.pth"], "there is no file at none.pth"),
        (["get", "small"], "is not the published file of small: its SHA-256 is"),
    ],
)
def test_what_is_wrong_is_one_line(
    small: Path, site: Site, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    site.content = CONTENT[::-1]
    assert message in refused(monkeypatch, *arguments)
    assert not small.exists()
    assert len(site.requests) == (arguments == ["get", "small"])


def test_offline_is_one_line(small: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    line = refused(monkeypatch, "get", "small")
    assert f"HF_HUB_OFFLINE=1 is set: download {site.url} elsewhere and put it at {small}" in line
    assert site.requests == []


def test_a_killed_download_is_carried_on_with(small: Path, site: Site) -> None:
    site.hold_after = 150_000
    process = start(site, "get", "small")
    part = small.with_name("small.pth.part")
    wait_until(lambda: part.exists() and part.stat().st_size == 150_000)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not small.exists()
    site.hold_after = None
    said: list[str] = []
    get_weights("small", say=said.append)
    assert said == []
    assert small.read_bytes() == CONTENT
    assert site.asked_ranges == [None, "bytes=150000-"]


def test_control_c_keeps_what_arrived(small: Path, site: Site) -> None:
    site.hold_after = 150_000
    process = start(site, "get", "small")
    part = small.with_name("small.pth.part")
    wait_until(lambda: part.exists() and part.stat().st_size == 150_000)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    assert stderr == "small is not complete; what arrived is kept, and the same command carries on from there\n"
    assert part.read_bytes() == CONTENT[:150_000]


def test_two_processes_share_one_download(small: Path, site: Site) -> None:
    site.hold_after = 150_000
    process = start(site, "get", "small")
    wait_until(lambda: bool(site.requests))
    said: list[str] = []

    def hear(text: str) -> None:
        said.append(text)
        site.release.set()

    get_weights("small", say=hear)
    stdout, stderr = process.communicate(timeout=60)
    assert said == ["another process is getting small; waiting for it"]
    assert (process.returncode, stdout, stderr) == (0, f"{small}\n", "small is verified\n")
    assert small.read_bytes() == CONTENT
    assert len(site.requests) == 1


GUIDE = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
COMMANDS = re.findall(r"^anymask models(.*?)(?:\s*#.*)?$", GUIDE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_guide_are_understood(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("ANYMASK_OFFLINE", "1")
    done = CliRunner().invoke(app, ["models", *command.split()])
    assert done.exit_code == 0 or isinstance(done.exception, AnymaskError)
