"""The HTTP API, asked over loopback."""

from __future__ import annotations

import os
import threading
import time
import uuid
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image

from anymask.draw.palette import PALETTE
from anymask.engine.store import Store
from anymask.segment.segmenter import Segmenter
from anymask.studio import project as project_module
from anymask.studio.model import StudioModel
from anymask.studio.project import ServedProject

from .changing import change, changes, counts_of, new_object
from .conftest import Serve


def detail(answer: httpx2.Response) -> str:
    assert set(answer.json()) == {"detail"}
    return str(answer.json()["detail"])


def test_the_project(client: httpx2.Client, project: ServedProject, random_segmenter: Segmenter) -> None:
    answer = client.get("/api/project").json()
    assert answer.pop("palette") == [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in PALETTE.tolist()]
    assert answer == {
        "id": project.store.project_id,
        "name": "photos",
        "pictures": 4,
        "unusable": 0,
        "model": {
            "name": "custom",
            "fingerprint": random_segmenter.weights_fingerprint,
            "input_side": 512,
            "logits_side": 128,
            "embedding_shape": [1, 256, 32, 32],
            "mask_threshold": 0.0,
        },
        "decoder": {"state": "preparing", "files": None, "reason": None},
        "labels": [],
    }


def test_the_page_need_not_wait_for_the_model(store: Store, serve: Serve, tmp_path: Path) -> None:
    project = ServedProject(store, StudioModel("pocket"), cache_folder=tmp_path / "cache")
    client = serve(project)
    assert client.get("/api/project").json()["model"] is None
    assert client.get("/api/pictures/1").json()["picture"]["width"] == 80
    assert client.get("/api/pictures/1/image").status_code == 200
    answer = client.get("/api/pictures/1/embedding?wait=0")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert client.get("/api/pictures/1/proposals").json() == {"state": "waiting", "model": "", "masks": []}
    assert client.get("/api/status").json()["encoded"] == 0
    project.close()


def test_a_model_that_cannot_be_loaded_is_said(store: Store, serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "broken.pth").write_bytes(b"PK broken")
    project = ServedProject(store, StudioModel(str(tmp_path / "broken.pth")), cache_folder=tmp_path / "cache")
    client = serve(project)
    waiting: list[httpx2.Response] = []
    thread = threading.Thread(target=lambda: waiting.append(client.get("/api/pictures/1/embedding?wait=60")))
    thread.start()
    project.start()
    thread.join(60)
    assert waiting[0].status_code == 500
    assert "broken.pth cannot be loaded" in detail(waiting[0])
    decoder = client.get("/api/status").json()["decoder"]
    assert decoder["state"] == "failed"
    assert "cannot be loaded" in decoder["reason"]
    assert client.get("/api/pictures/1").status_code == 200
    project.close()


def test_the_list_comes_in_parts(client: httpx2.Client) -> None:
    whole = client.get("/api/pictures").json()
    assert whole["total"] == 4
    assert [one["name"] for one in whole["pictures"]] == ["1.png", "2.png", "3.png", "4.png"]
    part = client.get("/api/pictures?offset=1&limit=2").json()
    assert part == {"total": 4, "pictures": whole["pictures"][1:3]}
    assert client.get("/api/pictures?offset=4").json()["pictures"] == []
    for wrong in ("offset=-1", "limit=0", "limit=5001", "offset=x"):
        answer = client.get(f"/api/pictures?{wrong}")
        assert answer.status_code == 422
        assert wrong.split("=")[0] in detail(answer)


def test_new_pictures_are_found(client: httpx2.Client, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_module, "_SECONDS_BETWEEN_LOOKS", 0.0)
    Image.new("RGB", (5, 5)).save(pictures / "5.png")
    (pictures / "1.png").unlink()
    assert client.get("/api/project").json()["pictures"] == 4
    listed = client.get("/api/pictures").json()["pictures"]
    assert [one["name"] for one in listed] == ["2.png", "3.png", "4.png", "5.png"]
    assert client.get(f"/api/pictures/{listed[-1]['id']}").json()["picture"]["width"] == 5


def test_unknown_pictures(client: httpx2.Client) -> None:
    for method, path in [
        ("GET", ""),
        ("GET", "/image"),
        ("GET", "/thumbnail"),
        ("GET", "/embedding?wait=0"),
        ("GET", "/proposals"),
        ("POST", "/changes"),
    ]:
        body = {"json": changes(new_object())} if method == "POST" else {}
        answer = client.request(method, f"/api/pictures/99{path}", **body)
        assert answer.status_code == 404
        assert "there is no picture 99" in detail(answer)
    assert client.get("/api/export?format=coco&picture=99").status_code == 404
    assert client.get("/api/pictures/1.5").status_code == 422


def test_a_picture_that_cannot_be_opened_says_so_and_loses_nothing(client: httpx2.Client, pictures: Path) -> None:
    state = new_object()
    client.get("/api/pictures/2")
    client.post("/api/pictures/2/changes", json=changes(state))
    outside = pictures.parent / "outside.png"
    (pictures / "2.png").rename(outside)
    for make, message in [
        (lambda: None, "2.png is no longer in the folder"),
        (lambda: (pictures / "2.png").write_text("no picture"), "not an image of a known format"),
        (lambda: ((pictures / "2.png").unlink(), (pictures / "2.png").symlink_to(outside)), "outside the folder"),
    ]:
        make()
        opened = client.get("/api/pictures/2").json()
        assert message in opened["picture"]["error"]
        assert str(pictures) not in opened["picture"]["error"]
        assert opened["objects"] == [state]
        for path in ("image", "thumbnail"):
            answer = client.get(f"/api/pictures/2/{path}")
            assert answer.status_code == 422
            assert str(pictures) not in detail(answer)


def test_an_image_is_sent_once(client: httpx2.Client, pictures: Path) -> None:
    for what, media_type in (("image", "image/png"), ("thumbnail", "image/jpeg")):
        first = client.get(f"/api/pictures/1/{what}")
        assert (first.status_code, first.headers["content-type"]) == (200, media_type)
        assert first.headers["cache-control"] == "private, no-cache"
        etag = first.headers["etag"]
        for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
            assert client.get(f"/api/pictures/1/{what}", headers={"if-none-match": known}).status_code == 304
        assert client.get(f"/api/pictures/2/{what}", headers={"if-none-match": etag}).status_code == 200
        os.utime(pictures / "1.png", (time.time(), 12345 + len(what)))
        assert client.get(f"/api/pictures/1/{what}", headers={"if-none-match": etag}).status_code == 200
    assert client.get("/api/pictures/1/image").content == (pictures / "1.png").read_bytes()
    part = client.get("/api/pictures/1/image", headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, (pictures / "1.png").read_bytes()[10:20])


def test_a_converted_image_is_made_once(client: httpx2.Client, pictures: Path, project: ServedProject) -> None:
    Image.new("CMYK", (80, 60), (10, 200, 30, 40)).save(pictures / "3.png", "JPEG")
    first = client.get("/api/pictures/3/image")
    assert first.headers["content-type"] == "image/png"
    before = project.cache.total_bytes
    assert client.get("/api/pictures/3/image").content == first.content
    assert project.cache.total_bytes == before > 0
    assert client.get("/api/pictures/3/image", headers={"if-none-match": first.headers["etag"]}).status_code == 304


@pytest.mark.usefixtures("one_thread")
def test_embeddings(client: httpx2.Client, project: ServedProject, random_segmenter: Segmenter) -> None:
    project.encoder.hold(True)
    answers: list[httpx2.Response] = []
    # Asked for before there is anything, and answered as soon as there is.
    thread = threading.Thread(
        target=lambda: answers.append(client.get("/api/pictures/3/embedding?priority=next&wait=60"))
    )
    thread.start()
    project.encoder.start(random_segmenter)
    thread.join(60)
    answer = answers[0]
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
    assert answer.headers["x-anymask-model"] == random_segmenter.weights_fingerprint
    expected = random_segmenter.encode(project.store.path(3)).embedding.numpy().astype("<f2")
    np.testing.assert_array_equal(np.frombuffer(answer.content, "<f2"), expected.ravel())
    again = client.get("/api/pictures/3/embedding", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/api/status").json() == {
        "project": project.store.project_id,
        "encoding": [],
        "waiting": 3,
        "encoded": 1,
        "decoder": {"state": "preparing", "files": None, "reason": None},
    }
    # The page can prepare the picture before it is opened.
    (listed,) = client.get("/api/pictures?offset=2&limit=1").json()["pictures"]
    assert (listed["width"], listed["height"]) == (80, 60)
    project.store.path(2).write_bytes(b"no picture")
    broken = client.get("/api/pictures/2/embedding?wait=60")
    assert broken.status_code == 422
    assert detail(broken).startswith("2.png cannot be read")
    for wrong in ("wait=-1", "wait=61", "priority=soon"):
        assert client.get(f"/api/pictures/1/embedding?{wrong}").status_code == 422


@pytest.mark.usefixtures("one_thread")
def test_proposals_keep_their_ids(
    client: httpx2.Client, project: ServedProject, random_segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anymask.segment.encoded import EncodedImage

    whole = EncodedImage.segment_everything

    def quick(self, **given):  # type: ignore[no-untyped-def]
        lenient = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "box_nms_thresh": 1.0}
        return whole(self, points_per_side=2, **lenient, **given)

    monkeypatch.setattr(EncodedImage, "segment_everything", quick)
    project.encoder.start(random_segmenter)
    found = client.get("/api/pictures/1/proposals?wait=60").json()
    assert (found["state"], found["model"]) == ("ready", random_segmenter.weights_fingerprint)
    assert len(found["masks"]) > 1
    ids = [one["id"] for one in found["masks"]]
    assert len(set(ids)) == len(ids)
    assert all(uuid.UUID(one) for one in ids)
    assert client.get("/api/pictures/1/proposals").json() == found
    # Its id is good for an object.
    state = new_object(id=ids[0], counts=found["masks"][0]["counts"], source="automatic", status="rejected")
    stored = client.post("/api/pictures/1/changes", json=changes(state)).json()
    assert stored["results"][0]["outcome"] == "stored"


def test_changes_are_stored_once_and_in_order(client: httpx2.Client) -> None:
    client.get("/api/pictures/1")
    first = new_object()
    second = {**first, "version": 2, "label": "cat"}
    sent = {"changes": [change(first), change(second)]}
    outcomes = [one["outcome"] for one in client.post("/api/pictures/1/changes", json=sent).json()["results"]]
    assert outcomes == ["stored", "stored"]
    outcomes = [one["outcome"] for one in client.post("/api/pictures/1/changes", json=sent).json()["results"]]
    assert outcomes == ["known", "known"]
    late = client.post("/api/pictures/1/changes", json=changes({**first, "version": 2, "label": "dog"})).json()
    assert late["results"][0]["outcome"] == "conflict"
    assert late["results"][0]["current"] == second
    wrong = client.post("/api/pictures/1/changes", json=changes(new_object(counts=counts_of(0, 0, 5, 5, (9, 9)))))
    assert wrong.json()["results"][0]["outcome"] == "refused"
    assert "80" in wrong.json()["results"][0]["reason"]
    opened = client.get("/api/pictures/1").json()
    assert opened["objects"] == [second]
    assert opened["picture"]["objects"] == 1
    assert client.get("/api/project").json()["labels"] == ["cat"]


def test_changes_of_a_picture_that_was_never_opened(client: httpx2.Client) -> None:
    answer = client.post("/api/pictures/4/changes", json=changes(new_object()))
    assert answer.json()["results"][0]["outcome"] == "stored"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "body"),
        (b'{"changes": []}', "body.changes"),
        (b'{"changes": [{}]}', "body.changes.0"),
        (b'{"changes": [], "more": 1}', "body"),
        (b"[" * 100_000, "body"),
    ],
)
def test_changes_that_are_none(client: httpx2.Client, body: bytes, message: str) -> None:
    answer = client.post("/api/pictures/1/changes", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert message in detail(answer)
    assert len(answer.content) < 1000


def test_what_is_meant_for_another_project_is_refused(client: httpx2.Client, project: ServedProject) -> None:
    mine = {"x-anymask-project": project.store.project_id}
    other = {"x-anymask-project": str(uuid.uuid4())}
    client.get("/api/pictures/1")
    sent = changes(new_object())
    for method, path, body in [
        ("POST", "/api/pictures/1/changes", {"json": sent}),
        ("PUT", "/api/labels", {"json": {"labels": ["cat"]}}),
        ("POST", "/api/import?name=a.json", {"content": b"{}"}),
    ]:
        answer = client.request(method, path, headers=other, **body)
        assert answer.status_code == 409
        assert "another project, photos, is served" in detail(answer)
    assert client.get("/api/pictures/1").json()["objects"] == []
    stored = client.post("/api/pictures/1/changes", json=sent, headers=mine).json()
    assert stored["results"][0]["outcome"] == "stored"


def test_labels(client: httpx2.Client) -> None:
    assert client.put("/api/labels", json={"labels": ["cat", " dog "]}).json() == {"labels": ["cat", "dog"]}
    client.get("/api/pictures/1")
    client.post("/api/pictures/1/changes", json=changes(new_object(label="dog")))
    in_use = client.put("/api/labels", json={"labels": ["cat"]})
    assert in_use.status_code == 409
    assert "dog" in detail(in_use)
    assert client.put("/api/labels", json={"labels": ["a", "a"]}).status_code == 422
    assert client.get("/api/project").json()["labels"] == ["cat", "dog"]


def test_renaming_labels_reaches_objects_and_can_be_sent_twice(client: httpx2.Client) -> None:
    made = new_object(label="dog")
    client.put("/api/labels", json={"labels": ["cat", "dog"]})
    client.post("/api/pictures/1/changes", json=changes(made))
    renaming = {"labels": ["cat", "hound"], "renamed": {"dog": "hound"}}
    for _ in range(2):
        assert client.put("/api/labels", json=renaming).json() == {"labels": ["cat", "hound"]}
        [stored] = client.get("/api/pictures/1").json()["objects"]
        assert (stored["label"], stored["version"]) == ("hound", 2)
    joined = {"labels": ["cat"], "renamed": {"hound": "cat"}}
    assert client.put("/api/labels", json=joined).json() == {"labels": ["cat"]}
    assert client.get("/api/pictures/1").json()["objects"][0]["label"] == "cat"
    nowhere = client.put("/api/labels", json={"labels": ["cat", "bird"], "renamed": {"mouse": "bird"}})
    assert nowhere.status_code == 422
    assert "no label 'mouse' to be renamed" in detail(nowhere)
    assert client.put("/api/labels", json={"labels": ["cat"], "renamed": ["cat"]}).status_code == 422


def test_files_that_cannot_be_used_are_listed(store: Store, serve: Serve, pictures: Path, tmp_path: Path) -> None:
    for name in ("a.heic", "b.nef"):
        (pictures / name).write_bytes(b"?")
    unusable = store.sync_pictures().unusable
    client = serve(ServedProject(store, StudioModel("pocket"), cache_folder=tmp_path / "cache", unusable=unusable))
    assert client.get("/api/project").json()["unusable"] == 2
    first = {"name": "a.heic", "reason": ".heic files are not read: convert it to JPEG, PNG or TIFF"}
    assert client.get("/api/unusable?limit=1").json() == {"total": 2, "files": [first]}
    assert [one["name"] for one in client.get("/api/unusable").json()["files"]] == ["a.heic", "b.nef"]
    assert client.get("/api/unusable?limit=0").status_code == 422


def test_unknown_decoders(client: httpx2.Client) -> None:
    for path in ("0123/studio.onnx", "0123/studio", "..%2f..%2fstudio.onnx/studio.onnx"):
        assert client.get(f"/api/decoder/{path}").status_code == 404


def test_waiting_ends_with_the_server(client: httpx2.Client, project: ServedProject) -> None:
    answers: list[httpx2.Response] = []
    thread = threading.Thread(target=lambda: answers.append(client.get("/api/pictures/1/embedding?wait=60")))
    thread.start()
    while not project.encoder._waiting:
        time.sleep(0.01)
    project.is_closing = True
    thread.join(30)
    assert answers[0].status_code == 503
    assert not project.encoder._waiting
