"""The server as a process: ports, its end, and what is left after a kill."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from anymask.engine.store import Store
from anymask.segment.segmenter import Segmenter
from anymask.studio.errors import StudioError
from anymask.studio.model import StudioModel
from anymask.studio.project import ServedProject
from anymask.studio.server import address, check_host, listen

from .changing import changes, new_object
from .conftest import Serve

PATIENCE = 120


class Process:
    """``anymask studio`` on a folder."""

    def __init__(self, folder: Path, home: Path, *options: str) -> None:
        command = [sys.executable, "-m", "anymask", "studio", str(folder), "--no-browser", *options]
        environment = {"ANYMASK_HOME": str(home), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        assert self.line, self.process.communicate()[1]
        self.address = self.line.split()[0]
        self.client = httpx2.Client(base_url=self.address, timeout=60, trust_env=False)

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal, and return the exit code and what was said on stderr."""
        self.client.close()
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said


def test_what_was_answered_as_stored_outlives_a_kill_and_it_ends_cleanly(pictures: Path, home: Path) -> None:
    states = [new_object(order=float(number)) for number in range(8)]
    server = Process(pictures, home, "--port", "0")
    assert str(pictures) in server.line
    assert "(4 pictures)" in server.line
    for state in states:
        answer = server.client.post("/api/pictures/1/changes", json=changes(state)).json()
        assert answer["results"][0]["outcome"] == "stored"
    assert server.end(signal.SIGKILL)[0] == -signal.SIGKILL

    server = Process(pictures, home, "--port", "0")
    assert server.client.get("/api/pictures/1").json()["objects"] == states
    place = httpx2.URL(server.address)
    with socket.create_connection((place.host, place.port), timeout=PATIENCE) as waiting:
        waiting.sendall(b"GET /api/pictures/4/proposals?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        # Answered in the order of arrival: by then the other one is waiting.
        assert server.client.get("/api/pictures/4").status_code == 200
        assert server.end(signal.SIGINT) == (0, "")


def test_two_studios_on_one_folder_share_it(
    store: Store, serve: Serve, random_segmenter: Segmenter, tmp_path: Path
) -> None:
    model = StudioModel("random", loaded=random_segmenter)
    with Store.open(store.folder) as again:
        projects = [ServedProject(one, model, cache_folder=tmp_path / "cache") for one in (store, again)]
        one, other = (serve(project) for project in projects)
        state = new_object()
        one.post("/api/pictures/1/changes", json=changes(state))
        assert other.get("/api/pictures/1").json()["objects"] == [state]
        late = other.post("/api/pictures/1/changes", json=changes({**state, "label": "late"})).json()
        assert late["results"][0]["outcome"] == "conflict"
        assert one.get("/api/project").json()["id"] == other.get("/api/project").json()["id"]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org", "::", "127.0.0.2", ""])
def test_only_this_machine(host: str) -> None:
    with pytest.raises(StudioError, match=r"until logins exist"):
        check_host(host)


def test_names_of_this_machine() -> None:
    assert [check_host(host) for host in ("localhost", "127.0.0.1", "::1", "[::1]")] == [
        "127.0.0.1",
        "127.0.0.1",
        "::1",
        "::1",
    ]


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_was_asked_for_or_none(taken: int, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=f"port {taken} of 127.0.0.1 is taken: leave --port out"):
        listen("127.0.0.1", taken, tmp_path / "port")
    for wrong in (-1, 70_000):
        with pytest.raises(StudioError, match="a number from 1 to 65535"):
            listen("127.0.0.1", wrong, tmp_path / "port")
    with listen("127.0.0.1", 0, tmp_path / "port") as found:
        assert address(found) == f"http://127.0.0.1:{found.getsockname()[1]}/"
    assert not (tmp_path / "port").exists()


def test_a_project_keeps_its_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setattr("anymask.studio.server.DEFAULT_PORT", taken)
    with listen("127.0.0.1", None, tmp_path / "a.port") as first:
        own = first.getsockname()[1]
        assert own > taken
        assert int((tmp_path / "a.port").read_text()) == own
        with listen("127.0.0.1", None, tmp_path / "b.port") as second:
            assert second.getsockname()[1] > own
            kept = second.getsockname()[1]
    # Both are free again, but each project has what a browser knows it by.
    with listen("127.0.0.1", None, tmp_path / "b.port") as again:
        assert again.getsockname()[1] == kept
    (tmp_path / "a.port").write_text("nonsense")
    with listen("127.0.0.1", None, tmp_path / "a.port") as again:
        assert again.getsockname()[1] > taken
    with listen("127.0.0.1", None, tmp_path / "missing folder" / "a.port") as again:
        assert again.getsockname()[1] > taken


def test_the_browser_is_opened_once_it_answers(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from anymask.studio import server
    from anymask.studio.starting import StudioOptions, run_studio

    opened: list[tuple[str, int]] = []
    said: list[str] = []

    def browse(url: str) -> bool:
        opened.append((url, httpx2.get(url.partition("?")[0] + "api/status", trust_env=False).status_code))
        signal.raise_signal(signal.SIGINT)
        return True

    monkeypatch.setenv("ANYMASK_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("webbrowser.open", browse)
    monkeypatch.setattr("anymask.studio.decoder_files.DecoderFiles.prepare", lambda *_: None)
    monkeypatch.setattr(server, "_SECONDS_TO_END", PATIENCE)
    run_studio(pictures / "3.png", StudioOptions(port=0), None, said.append)
    ((url, status),) = opened
    assert status == 200
    assert url.endswith("/?picture=3")
    (line,) = said
    assert line.startswith(url.partition("?")[0])
