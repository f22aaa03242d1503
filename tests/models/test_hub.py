"""Hub ids, against a server on this machine that answers as the hub does."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from anymask.models.architecture import DecoderArchitecture, VitArchitecture
from anymask.models.hub import is_repository
from anymask.models.transformers_folder import write_folder
from models.small_sam_model import small_sam_model

COMMIT = "c0ffee" + 34 * "0"

# What is asked for, each with settings of the environment; a line of JSON answers each.
PROGRAM = """
import json, os, sys
import torch
from anymask.errors import AnymaskError
from anymask.models.storage import load_network
torch.set_num_threads(1)
for name, settings in json.loads(sys.argv[1]):
    os.environ.update(settings)
    try:
        network, called = load_network(name)
        answer = {"called": called, "weight": network.mask_decoder.iou_token.weight[0, :4].tolist()}
    except AnymaskError as error:
        answer = {"error": str(error)}
    for key in settings:
        del os.environ[key]
    print(json.dumps(answer), flush=True)
"""


class Handler(BaseHTTPRequestHandler):
    server: Any

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self._answer(True)

    def _answer(self, with_body: bool) -> None:
        self.server.asked.append((self.command, self.path))
        owner, name, resolve, revision, *path = [*self.path.strip("/").split("/"), "", "", "", ""][:5]
        folder = self.server.root / owner / name
        file = folder / (path[0] if path else "")
        if resolve != "resolve" or revision not in ("main", COMMIT) or not file.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if name and folder.is_dir() else "RepoNotFound")
            content = b""
        else:
            content = file.read_bytes()
            self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.root, server.asked = tmp_path / "served", []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(hub: Any, questions: list[tuple[str, dict[str, str]]], **settings: str) -> list[dict[str, Any]]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "ANYMASK_"))}
    environment |= {
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
        "HF_HOME": str(hub.root.parent / "home"),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(questions)],
        env=environment | settings,
        cwd=hub.root.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("text", ["facebook/sam-vit-base", "a/b", "owner_1/Name.v2-x"])
def test_hub_ids(text: str) -> None:
    assert is_repository(text)


@pytest.mark.parametrize(
    "text",
    [
        "vit_b",
        "a/b/c",
        "/a/b",
        "./a",
        "../a",
        "~/a",
        "a/",
        "/a",
        "runs/x.pth",
        "a/model.safetensors",
        "a/B.PT",
        "a b/c",
    ],
)
def test_what_is_no_hub_id(text: str) -> None:
    assert not is_repository(text)


def test_models_of_the_hub(hub: Any) -> None:
    decoder = DecoderArchitecture(embed_dim=32, num_heads=4, mlp_dim=16, iou_head_hidden_dim=8)
    network = VitArchitecture(
        image_size=32, embed_dim=16, depth=1, num_heads=2, mlp_dim=16, global_blocks=(), decoder=decoder
    ).build()
    write_folder(network, hub.root / "owner" / "whole")
    small_sam_model().save_pretrained(hub.root / "owner" / "shards", max_shard_size="200KB")
    shards = len(list((hub.root / "owner" / "shards").glob("*.safetensors")))
    assert shards > 1
    for name, content in (("sam2", {"model_type": "sam2"}), ("bare", {"model_type": "sam"})):
        (hub.root / "owner" / name).mkdir()
        (hub.root / "owner" / name / "config.json").write_text(json.dumps(content))
    (hub.root / "owner" / "sam2" / "model.safetensors").write_bytes(b"")
    (hub.root / "owner" / "empty").mkdir()
    answers = run(
        hub,
        [
            ("owner/whole", {}),
            ("owner/shards", {}),
            ("owner/none", {}),
            ("owner/empty", {}),
            ("owner/bare", {}),
            ("owner/sam2", {}),
            ("owner/whole", {"HF_HUB_OFFLINE": "1"}),
            ("owner/shards", {"ANYMASK_OFFLINE": "1"}),
            ("owner/never", {"HF_HUB_OFFLINE": "1"}),
            ("owner/bare", {"ANYMASK_OFFLINE": "1"}),
        ],
    )
    weight = network.mask_decoder.iou_token.weight[0, :4].tolist()
    assert answers[0] == answers[6] == {"called": "custom (owner/whole)", "weight": weight}
    assert answers[1] == answers[7]
    assert answers[1]["called"] == "custom (owner/shards)"
    errors = [answer.get("error", "") for answer in answers]
    assert errors[2].startswith("there is no file or folder owner/none here, and no such model on the Hugging Face hub")
    assert "owner/empty on the Hugging Face hub is not in SamModel's layout: it lacks config.json" in errors[3]
    assert "owner/bare on the Hugging Face hub holds no weights: none of model.safetensors" in errors[4]
    assert "config.json describes a model of the type 'sam2': only SamModel's layout is read" in errors[5]
    assert errors[8].startswith("there is no file or folder owner/never here, HF_HUB_OFFLINE=1 forbids downloads")
    assert "download config.json and model.safetensors of https://huggingface.co/owner/never elsewhere" in errors[8]
    assert "give that folder as the model" in errors[8]
    assert errors[9].startswith("owner/bare has its config.json in the hub's cache but no weights: download")
    fetched = [path for command, path in hub.asked if command == "GET" and "/owner/" in path]
    assert len(set(fetched)) == len(fetched), "offline models are not fetched a second time"
    assert sum(path.startswith("/owner/shards") for path in fetched) == shards + 2
    assert not any("never" in path for _, path in hub.asked)


@pytest.mark.long
def test_a_hub_that_cannot_be_reached(hub: Any) -> None:
    network = VitArchitecture(image_size=32, embed_dim=16, depth=1, num_heads=2, mlp_dim=16, global_blocks=()).build()
    write_folder(network, hub.root / "owner" / "whole")
    first = run(hub, [("owner/whole", {})])
    assert run(hub, [("owner/whole", {})], HF_HUB_OFFLINE="1") == first
    # Nothing listens on this port: what is in the cache is used, what is not is said.
    answers = run(hub, [("owner/whole", {}), ("owner/other", {})], HF_ENDPOINT="http://127.0.0.1:9")
    assert answers[0] == first[0]
    assert "the Hugging Face hub cannot be reached, and the hub's cache" in answers[1]["error"]
