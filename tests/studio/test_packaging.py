"""The wheel has the studio's page in it, and needs no Node."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

PROJECT = Path(__file__).parents[2]


def answer(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=30) as content:
        return content.read()


def test_the_lock_file_leaves_the_registry_to_whoever_installs():
    packages = json.loads((PROJECT / "web" / "package-lock.json").read_text())["packages"]
    assert len(packages) > 100
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in packages.items() if name)


@pytest.mark.long
def test_an_installed_wheel_serves_the_page_without_node(tmp_path):
    if shutil.which("npm") is None:
        pytest.skip("building the page needs Node")
    subprocess.run([PROJECT / "scripts" / "wheel", tmp_path], check=True)
    (wheel,) = tmp_path.glob("anymask-*.whl")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    programs = tmp_path / "venv" / "bin"
    install = [programs / "python", "-m", "pip", "install", "--quiet", "--constraint", PROJECT / "constraints.txt"]
    subprocess.run([*install, f"{wheel}[studio]"], check=True)
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "photos" / "one.png")

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    # Only the environment's own programs: no Node, and none of this checkout.
    environment = {"PATH": str(programs), "HOME": str(tmp_path), "ANYMASK_HOME": str(tmp_path / "home")}
    command = [programs / "anymask", "studio", tmp_path / "photos", "--no-browser", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        page = b""
        end = time.monotonic() + 120
        while not page and time.monotonic() < end and server.poll() is None:
            try:
                page = answer(f"http://127.0.0.1:{port}/")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        assert b'id="root"' in page, (tmp_path / "log").read_text()
        parts = re.findall(r'(?:src|href)="(/[^"]+)"', page.decode())
        assert any(part.endswith(".js") for part in parts)
        assert any(part.endswith(".css") for part in parts)
        for part in parts:
            assert answer(f"http://127.0.0.1:{port}{part}")
        decoder = {"state": "preparing"}
        while decoder["state"] == "preparing":
            decoder = json.loads(answer(f"http://127.0.0.1:{port}/api/project"))["decoder"]
            time.sleep(0.2)
        assert decoder["state"] == "ready"
        assert not (tmp_path / "home" / "studio" / "decoders").exists()
        assert answer(f"http://127.0.0.1:{port}{decoder['files']['click']}")
    finally:
        server.terminate()
        server.wait()
