import errno
import hashlib
import io
import os
import random
import shutil
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import httpx2
import pytest
import torch
from filelock import FileLock
from safetensors.torch import save

from anymask.errors import AnymaskError
from anymask.models import transfer
from anymask.models.downloads import OfflineError, find_source, get_weights
from anymask.models.registry import MODELS, UnknownModelError
from anymask.models.transfer import DownloadError
from anymask.models.verification import ChecksumError, Verification
from models.serving import Site, serve

CONTENT = random.Random(7).randbytes(250_000)
OTHER = random.Random(8).randbytes(250_000)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of weights, empty; no setting of this machine matters, and nobody waits."""
    for name in ("ANYMASK_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("ANYMASK_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(transfer, "FIRST_PAUSE_S", 0.0)
    return tmp_path / "home"


@pytest.fixture
def site():
    with serve(Site(CONTENT)) as running:
        yield running


def publish(monkeypatch, site, **changes):
    """Put the site's file into the registry as the weights of "small"."""
    facts = {
        "source": site.url,
        "file_name": "small.pth",
        "sha256": hashlib.sha256(site.content).hexdigest(),
        "size": len(site.content),
    }
    monkeypatch.setitem(MODELS, "small", replace(MODELS["pocket"], **{"name": "small"} | facts | changes))


@pytest.fixture
def small(monkeypatch, site, home):
    publish(monkeypatch, site)
    return home / "small.pth"


def names_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def assert_complete(path, content=CONTENT):
    assert path.read_bytes() == content
    assert names_in(path.parent) == [f".{path.name}.checked.json", path.name]


def test_a_file_is_got_whole_with_its_progress(small, site):
    calls = []
    weights = get_weights("small", progress=lambda *call: calls.append(call))
    assert_complete(small)
    assert weights.path == small
    assert weights.verification is Verification.VERIFIED
    assert site.asked_ranges == [None]
    assert site.requests[0]["accept-encoding"] == "identity"
    downloading = [done for stage, done, total in calls if stage == "downloading" and total == len(CONTENT)]
    assert downloading[0] == 0
    assert downloading[-1] == len(CONTENT)
    assert downloading == sorted(downloading)
    assert calls[-1] == ("checking", len(CONTENT), len(CONTENT))


def test_what_is_here_is_not_got_again(small, site):
    get_weights("small")
    assert get_weights("small").verification is Verification.VERIFIED
    assert len(site.requests) == 1
    assert get_weights("small", force=True).path == small
    assert len(site.requests) == 2
    assert_complete(small)


def test_a_download_that_breaks_off_is_carried_on_with(small, site):
    site.breaks = [70_000, 50_000, 40_000]
    said = []
    get_weights("small", say=said.append)
    assert_complete(small)
    assert site.asked_ranges == [None, "bytes=70000-", "bytes=120000-", "bytes=160000-"]
    assert {request.get("if-range") for request in site.requests[1:]} == {'"one"'}
    assert len(said) == 3
    assert "trying again in 0 s, 70,000 bytes are here" in said[0]


def test_a_chunked_download_that_breaks_off_is_carried_on_with(small, site):
    site.chunked = True
    site.breaks = [70_000]
    get_weights("small")
    assert_complete(small)
    assert site.asked_ranges == [None, "bytes=70000-"]


def test_a_server_without_ranges_begins_anew(small, site):
    site.ranges = False
    site.breaks = [200_000, 100_000]
    get_weights("small")
    assert_complete(small)
    assert site.asked_ranges == [None, "bytes=200000-", "bytes=100000-"]


def test_a_server_that_always_breaks_off_in_one_place_is_given_up(small, site):
    site.ranges = False
    site.breaks = [90_000] * 20
    with pytest.raises(DownloadError, match=r"5 times in a row\); 90,000 bytes are kept, and the same command carries"):
        get_weights("small")
    assert len(site.requests) == 1 + 4
    assert names_in(small.parent) == ["small.pth.part", "small.pth.part.json"]
    site.breaks, site.ranges = [], True
    get_weights("small")
    assert_complete(small)
    assert site.asked_ranges[-1] == "bytes=90000-"


def test_many_breaks_are_borne_as_long_as_something_comes(small, site):
    site.breaks = [10_000] * 20
    get_weights("small")
    assert_complete(small)
    assert len(site.requests) == 21


def test_pauses_grow_and_heed_the_server(small, site, monkeypatch):
    pauses = []
    monkeypatch.setattr(transfer, "FIRST_PAUSE_S", 1.0)
    monkeypatch.setattr("time.sleep", pauses.append)
    site.statuses = [(503, {}), (500, {}), (429, {"Retry-After": "7"}), (503, {"Retry-After": "9999"})]
    get_weights("small")
    assert_complete(small)
    assert pauses == [1.0, 2.0, 7.0, 60.0]


def test_a_file_that_changes_between_attempts_is_not_joined(small, site, monkeypatch):
    site.breaks = [100_000] + [0] * 20
    with pytest.raises(DownloadError, match="kept"):
        get_weights("small")
    site.content, site.etag, site.breaks = OTHER, '"two"', []
    publish(monkeypatch, site)
    get_weights("small")
    assert_complete(small, OTHER)
    assert site.asked_ranges[-1] == "bytes=100000-"
    assert site.requests[-1]["if-range"] == '"one"'


def test_a_file_that_became_shorter_is_got_anew(small, site, monkeypatch):
    site.etag = ""
    site.breaks = [200_000] + [0] * 20
    with pytest.raises(DownloadError):
        get_weights("small")
    site.content, site.breaks = OTHER[:150_000], []
    publish(monkeypatch, site)
    said = []
    get_weights("small", say=said.append)
    assert_complete(small, OTHER[:150_000])
    assert site.asked_ranges[-2:] == ["bytes=200000-", None]
    assert "the file has changed on the server" in said[0]


def test_without_an_etag_the_date_tells_versions_apart(small, site):
    site.etag, site.last_modified = 'W/"weak"', formatdate(1e9, usegmt=True)
    site.breaks = [100_000]
    get_weights("small")
    assert_complete(small)
    assert site.requests[1]["if-range"] == site.last_modified


def test_without_any_validator_only_a_known_hash_allows_to_carry_on(small, site, monkeypatch):
    site.etag = ""
    site.breaks = [100_000]
    get_weights("small")
    assert_complete(small)
    assert site.asked_ranges == [None, "bytes=100000-"]
    assert "if-range" not in site.requests[1]
    small.unlink()
    site.requests.clear()
    site.breaks = [100_000]
    publish(monkeypatch, site, sha256="")
    with pytest.raises(ChecksumError, match="not a checkpoint of small"):
        get_weights("small")
    assert site.asked_ranges == [None, None]


@pytest.mark.parametrize(
    "given", ["bytes 0-249999/250000", "bytes 100000-249999/999999", "bytes */250000", "100000-249999", ""]
)
def test_a_wrong_range_is_not_joined(small, site, given):
    site.breaks = [100_000]
    site.change_range = lambda _: given
    get_weights("small")
    assert_complete(small)
    assert site.asked_ranges == [None, "bytes=100000-", None]


def test_a_damaged_beginning_is_got_anew(small, site):
    site.breaks = [100_000] + [0] * 20
    with pytest.raises(DownloadError):
        get_weights("small")
    part = small.with_name("small.pth.part")
    part.write_bytes(b"x" + part.read_bytes()[1:])
    site.breaks = []
    said = []
    get_weights("small", say=said.append)
    assert_complete(small)
    assert "beginning anew" in said[0]
    assert site.asked_ranges[-2:] == ["bytes=100000-", None]


@pytest.mark.parametrize("beginning", [CONTENT[:100_000], CONTENT, CONTENT + b"more"], ids=["some", "all", "more"])
def test_a_partial_file_of_unknown_origin_is_not_trusted(small, site, beginning):
    small.parent.mkdir()
    small.with_name("small.pth.part").write_bytes(beginning)
    get_weights("small")
    assert_complete(small)
    assert site.asked_ranges == [None]


def test_a_partial_file_of_another_address_is_not_carried_on_with(small, site):
    site.breaks = [100_000] + [0] * 20
    with pytest.raises(DownloadError):
        get_weights("small")
    site.breaks, site.path = [], "/mirror/small.pth"
    get_weights("small", source=f"{site.address}/mirror/")
    assert_complete(small)
    assert site.asked_ranges[-1] is None


def test_a_process_that_ended_before_the_check_goes_on_with_it(small, site, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("anymask.models.downloads.check_file", stop)
        with pytest.raises(KeyboardInterrupt):
            get_weights("small")
    assert names_in(small.parent) == ["small.pth.part", "small.pth.part.json"]
    get_weights("small")
    assert_complete(small)
    assert len(site.requests) == 1


def test_a_file_shorter_than_the_server_says_is_never_taken_for_whole(small, site, monkeypatch):
    publish(monkeypatch, site, size=0)
    site.declared = len(CONTENT) + 5_000
    get_weights("small")
    # The second request, for what lies beyond the end, was answered with the true size.
    assert site.asked_ranges == [None, f"bytes={len(CONTENT)}-"]
    assert_complete(small)
    site.content = CONTENT[:-1000]
    with pytest.raises(ChecksumError, match="its SHA-256 is"):
        get_weights("small", force=True)
    assert_complete(small)


def test_a_file_longer_than_the_server_says_is_never_taken_for_whole(small, site, monkeypatch):
    publish(monkeypatch, site, size=0)
    site.declared = len(CONTENT) - 5_000
    with pytest.raises(ChecksumError, match="its SHA-256 is"):
        get_weights("small")
    assert names_in(small.parent) == []


@pytest.mark.parametrize("declared", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_another_size_than_the_published_is_said_at_once(small, site, declared):
    site.declared = declared
    with pytest.raises(DownloadError, match=f"offers a file of {declared:,} bytes, and the published one has 250,000"):
        get_weights("small")
    assert names_in(small.parent) == []


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [(1, DownloadError, "more than the 250,000 bytes"), (-1, ChecksumError, "it has 249,999 bytes, that one has")],
)
def test_another_size_without_a_declaration_is_found(small, site, change, error, message):
    site.chunked = True
    site.content = (CONTENT + b"more")[: len(CONTENT) + change]
    with pytest.raises(error, match=message):
        get_weights("small")
    assert names_in(small.parent) == []


def test_a_wrong_file_never_gets_the_name(small, site):
    expected = hashlib.sha256(CONTENT).hexdigest()
    site.content = OTHER
    with pytest.raises(ChecksumError) as caught:
        get_weights("small")
    assert expected in str(caught.value)
    assert hashlib.sha256(OTHER).hexdigest() in str(caught.value)
    assert "it was removed" in str(caught.value)
    assert len(site.requests) == 1
    assert names_in(small.parent) == []


def test_a_wrong_file_does_not_replace_the_right_one(small, site):
    get_weights("small")
    site.content = OTHER
    with pytest.raises(ChecksumError):
        get_weights("small", force=True)
    assert_complete(small)


@pytest.mark.parametrize(
    ("statuses", "message"),
    [
        ([(404, {})], r"answered 404 Not Found; is the address right"),
        ([(403, {})], r"answered 403 Forbidden"),
        ([(500, {})] * 5, r"answered 500 Internal Server Error \(5 times in a row\); 0 bytes are kept"),
        ([(302, {"Location": "/round"})] * 30, r"redirected in a circle"),
        ([(302, {"Location": "ftp://127.0.0.1/small.pth"})], r"cannot download .*unsupported protocol"),
        ([(206, {"Content-Range": "bytes 5-9/10"})], r"answered with a part of the file although the whole"),
        ([(200, {"Content-Type": "text/html; charset=utf-8"})], r"answered with a web page instead of the file"),
        ([(200, {"Content-Encoding": "gzip"})], r"answered with a compressed file"),
    ],
)
def test_what_a_server_answers_is_said(small, site, statuses, message):
    site.statuses = statuses
    with pytest.raises(DownloadError, match=message) as caught:
        get_weights("small")
    assert isinstance(caught.value, AnymaskError)
    assert site.url in str(caught.value) or "/round" in str(caught.value)
    assert names_in(small.parent) == []


def test_a_web_page_does_not_cost_what_has_arrived(small, site):
    site.breaks = [100_000]
    site.statuses = []
    with pytest.raises(DownloadError, match="web page"):
        get_weights("small", say=lambda _: site.statuses.append((200, {"Content-Type": "text/html"})))
    get_weights("small")
    assert_complete(small)
    assert site.asked_ranges[-1] == "bytes=100000-"


def test_a_redirection_is_followed(small, site):
    site.statuses = [(302, {"Location": site.url})]
    get_weights("small", source=f"{site.address}/elsewhere")
    assert_complete(small)
    assert [request["path"] for request in site.requests] == ["/elsewhere", site.path]


@pytest.mark.usefixtures("small")
def test_no_server_at_all(site, monkeypatch):
    with serve(Site(b"")) as gone:
        address = gone.url
    publish(monkeypatch, site, source=address)
    with pytest.raises(DownloadError, match=r"cannot download http://127.*refused \(5 times in a row\)"):
        get_weights("small")


@pytest.mark.usefixtures("small")
def test_an_untrusted_certificate_is_not_tried_again(monkeypatch):
    def refuse(*_args, **_options):
        raise httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed")

    monkeypatch.setattr(httpx2.Client, "stream", refuse)
    said = []
    with pytest.raises(DownloadError, match=r"certificate is not trusted here.*SSL_CERT_FILE"):
        get_weights("small", say=said.append)
    assert said == []


@pytest.mark.usefixtures("small")
def test_a_server_that_is_silent_is_given_up(monkeypatch):
    def wait(*_args, **_options):
        raise httpx2.ReadTimeout("")

    monkeypatch.setattr(httpx2.Client, "stream", wait)
    with pytest.raises(DownloadError, match=r"read timeout \(5 times in a row\)"):
        get_weights("small")


@pytest.mark.usefixtures("small")
def test_a_proxy_that_cannot_be_used_is_said(site, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy.example:70")
    with pytest.raises(DownloadError, match=r"proxy settings of this machine cannot be used: .*gopher"):
        get_weights("small")
    assert site.requests == []


def checkpoint_of_pocket(name, key="image_encoder.stem.0.0.weight"):
    state = {key: torch.zeros(1, 768)}
    if name.endswith(".safetensors"):
        return save(state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["pocket.pth", "pocket.safetensors"])
def test_a_file_without_a_published_hash_is_said_to_be_unverified(site, home, monkeypatch, name):
    site.content = checkpoint_of_pocket(name)
    facts = {"source": site.url, "file_name": name, "sha256": "", "size": 0}
    monkeypatch.setitem(MODELS, "pocket", replace(MODELS["pocket"], **facts))
    weights = get_weights("pocket")
    assert_complete(home / name, site.content)
    assert weights.verification is Verification.UNVERIFIED
    assert weights.sha256 == hashlib.sha256(site.content).hexdigest()
    assert get_weights("pocket") == weights
    assert len(site.requests) == 1


@pytest.mark.parametrize("name", ["pocket.pth", "pocket.safetensors"])
@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (lambda content: content[:-100], "truncated"),
        (lambda _: b"<html>not found</html>" * 10, r"\.part is (not a checkpoint|truncated or not)"),
        (lambda content: content.replace(b"image_encoder.stem", b"other_encoder.stem"), "foreign checkpoint"),
    ],
    ids=["truncated", "page", "foreign"],
)
def test_without_a_published_hash_the_content_is_looked_at(site, home, monkeypatch, name, alter, message):
    site.content = alter(checkpoint_of_pocket(name))
    facts = {"source": site.url, "file_name": name, "sha256": "", "size": 0}
    monkeypatch.setitem(MODELS, "pocket", replace(MODELS["pocket"], **facts))
    with pytest.raises(ChecksumError, match=f"is not a checkpoint of pocket: .*{message}"):
        get_weights("pocket")
    assert names_in(home) == []


@pytest.mark.parametrize("name", ["pocket.pth", "pocket.safetensors"])
def test_without_a_published_hash_another_model_is_refused(site, home, monkeypatch, name):
    site.content = checkpoint_of_pocket(name, "image_encoder.pos_embed")
    facts = {"source": site.url, "file_name": name, "sha256": "", "size": 0}
    monkeypatch.setitem(MODELS, "pocket", replace(MODELS["pocket"], **facts))
    with pytest.raises(ChecksumError, match=r"is not a checkpoint of pocket: .*\.part holds vit_b"):
        get_weights("pocket")
    assert names_in(home) == []


def test_a_file_put_there_by_hand_is_checked_once(small, site):
    small.parent.mkdir()
    small.write_bytes(CONTENT)
    assert get_weights("small").verification is Verification.VERIFIED
    assert site.requests == []
    small.write_bytes(OTHER)
    with pytest.raises(ChecksumError, match=r"small\.pth is not the published file.*get small --force"):
        get_weights("small")
    assert small.read_bytes() == OTHER
    get_weights("small", force=True)
    assert_complete(small)


@pytest.mark.parametrize("variable", ["ANYMASK_OFFLINE", "HF_HUB_OFFLINE"])
@pytest.mark.parametrize("value", ["1", "true", "Yes", "ON"])
def test_offline_nothing_is_asked_for(small, site, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(OfflineError) as caught:
        get_weights("small")
    assert f"{variable}={value}" in str(caught.value)
    assert site.url in str(caught.value)
    assert str(small) in str(caught.value)
    assert site.requests == []
    assert not small.parent.exists()


def test_offline_a_local_copy_and_what_is_here_still_serve(small, site, tmp_path, monkeypatch):
    monkeypatch.setenv("ANYMASK_OFFLINE", "1")
    (tmp_path / "copy.pth").write_bytes(CONTENT)
    get_weights("small", source=str(tmp_path / "copy.pth"))
    assert_complete(small)
    assert get_weights("small").verification is Verification.VERIFIED
    assert site.requests == []


def test_offline_variables_that_say_no(small, monkeypatch):
    monkeypatch.setenv("ANYMASK_OFFLINE", "0")
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    get_weights("small")
    assert_complete(small)


@pytest.mark.parametrize("kind", ["file", "folder", "address"])
def test_a_mirror_on_this_machine_is_copied_and_checked(small, site, tmp_path, kind):
    mirror = tmp_path / "a mirror"
    mirror.mkdir()
    copy = mirror / "small.pth"
    copy.write_bytes(CONTENT)
    source = {"file": str(copy), "folder": str(mirror), "address": copy.as_uri()}[kind]
    stages = set()
    get_weights("small", source=source, progress=lambda stage, *_: stages.add(stage))
    assert_complete(small)
    assert copy.read_bytes() == CONTENT
    assert stages == {"copying", "checking"}
    copy.write_bytes(OTHER)
    with pytest.raises(ChecksumError, match=r"a mirror/small\.pth gave is not the published file"):
        get_weights("small", source=source, force=True)
    assert_complete(small)
    assert site.requests == []


def test_passwords_in_an_address_are_used_but_not_shown(small, site):
    address = site.url.replace("http://", "http://user:secret@") + "?token=hidden"
    site.path += "?token=hidden"
    site.breaks = [100_000] + [0] * 20
    said = []
    with pytest.raises(DownloadError) as caught:
        get_weights("small", source=address, say=said.append)
    everything = "\n".join([str(caught.value), *said, small.with_name("small.pth.part.json").read_text()])
    assert "127.0.0.1" in everything
    assert "secret" not in everything
    assert "hidden" not in everything
    assert site.requests[0]["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("https://host/a.pth", "https://host/a.pth"),
        ("http://host/mirror/", "http://host/mirror/small.pth"),
    ],
)
def test_addresses_are_read(source, expected):
    assert find_source(source, "small.pth") == expected


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("ftp://host/a.pth", "cannot download by ftp; give an http or https address, or a path"),
        ("s3://bucket/a.pth", "cannot download by s3"),
        ("https:///a.pth", "names no host"),
        ("nowhere/a.pth", "there is no file at nowhere/a.pth"),
        ("", "there is no file at small.pth"),
        ("file:///nowhere/a.pth", "there is no file at /nowhere/a.pth"),
    ],
)
def test_a_source_that_cannot_be_is_named(source, message):
    with pytest.raises(DownloadError, match=message):
        get_weights("small", source=source or None) if source else find_source(source, "small.pth")


@pytest.mark.usefixtures("home")
def test_an_unknown_name():
    with pytest.raises(UnknownModelError, match="'vit_x'"):
        get_weights("vit_x")


def test_what_is_in_the_package_needs_no_download(home):
    weights = get_weights("pocket")
    assert weights.verification is Verification.PACKAGE
    assert weights.path.is_file()
    assert not home.exists()


@pytest.mark.parametrize("free", [249_999, 250_000])
def test_room_is_asked_for_before_anything_is_written(small, monkeypatch, free):
    usage = shutil.disk_usage(small.parent.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free))
    if free < len(CONTENT):
        with pytest.raises(DownloadError, match=r"too little room in .*: 0\.2 MB are needed, 0\.2 MB free"):
            get_weights("small")
        assert names_in(small.parent) == []
    else:
        get_weights("small")
        assert_complete(small)


def test_only_what_is_missing_needs_room(small, site, monkeypatch):
    site.breaks = [240_000]
    usage = shutil.disk_usage(small.parent.parent)
    free = iter([250_000, 10_000])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=next(free)))
    get_weights("small")
    assert_complete(small)


def test_a_disk_that_fills_up_keeps_what_arrived(small, site, monkeypatch):
    opened = Path.open

    class Full(io.FileIO):
        def write(self, data):
            if self.tell() > 100_000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    def open_full(path, mode="r", *args, **options):
        return Full(path, "a") if mode == "ab" else opened(path, mode, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", open_full)
        with pytest.raises(
            DownloadError, match=r"the disk of .* is full; .* are kept, and the same command carries on"
        ):
            get_weights("small")
    kept = small.with_name("small.pth.part").stat().st_size
    assert kept > 100_000
    get_weights("small")
    assert_complete(small)
    assert site.asked_ranges == [None, f"bytes={kept}-"]


@pytest.mark.usefixtures("small")
def test_a_folder_that_cannot_be_made(site, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ANYMASK_HOME", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match=r"cannot write in .*file: (File exists|Not a directory)"):
        get_weights("small")
    assert site.requests == []


def test_a_part_that_cannot_be_written(small):
    small.with_name("small.pth.part").mkdir(parents=True)
    with pytest.raises(DownloadError, match=r"cannot write .*small\.pth\.part: Is a directory"):
        get_weights("small")


def test_a_folder_without_permission(small, site):
    small.parent.mkdir(mode=0o500)
    # The administrator may write everywhere, and is somebody else for this test.
    administrator = os.geteuid() == 0
    if administrator:
        os.seteuid(65534)
    try:
        with pytest.raises(AnymaskError, match=r"cannot .*: Permission denied"):
            get_weights("small")
    finally:
        if administrator:
            os.seteuid(0)
    assert site.requests == []


def test_waiting_for_another_process_is_said(small, site):
    small.parent.mkdir()
    other = FileLock(small.with_name(".small.pth.lock"))
    other.acquire()
    said = []

    def put_it_there_and_end(text):
        said.append(text)
        small.write_bytes(CONTENT)
        other.release()

    get_weights("small", say=put_it_there_and_end)
    assert said == ["another process is getting small; waiting for it"]
    assert_complete(small)
    assert site.requests == []
