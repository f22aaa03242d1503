import pytest
from huggingface_hub import constants

from anymask.models.checkpoints import CheckpointError
from anymask.models.locations import locate, weights_folder
from anymask.models.registry import MODELS, UnknownModelError

VIT_B = "sam_vit_b_01ec64.pth"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ANYMASK_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def put_in_hub_cache(cache, repository, path, content=b"weights"):
    """Lay a file out as the hub's client does."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("c0ffee")
    file = folder / "snapshots" / "c0ffee" / path
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return file


def test_weights_are_looked_for_in_the_folder_that_the_user_sets(home):
    assert weights_folder() == home
    with pytest.raises(CheckpointError) as caught:
        locate("vit_b")
    assert "the weights of vit_b are not here: run `anymask models get vit_b`" in str(caught.value)
    assert f"https://dl.fbaipublicfiles.com/segment_anything/{VIT_B}" in str(caught.value)
    assert str(home / VIT_B) in str(caught.value)
    (home / VIT_B).touch()
    assert locate("vit_b") == home / VIT_B


def test_then_in_the_cache_of_the_hub(home, tmp_path):
    copy = put_in_hub_cache(tmp_path / "hub", "ybelkada/segment-anything", f"checkpoints/{VIT_B}")
    assert locate("vit_b") == copy
    with pytest.raises(CheckpointError, match="vit_l are not here"):
        locate("vit_l")
    (home / VIT_B).touch()
    assert locate("vit_b") == home / VIT_B


@pytest.mark.parametrize("name", [name for name, spec in MODELS.items() if spec.hub_copy])
def test_every_hub_copy_names_a_repository_and_a_file(name):
    owner, repository, path = MODELS[name].hub_copy.split("/", 2)
    assert owner
    assert repository
    assert path.endswith(MODELS[name].file_name)


@pytest.mark.parametrize("cache", ["cache", ""])
def test_without_a_setting_weights_are_in_the_users_cache(monkeypatch, tmp_path, cache):
    monkeypatch.setenv("ANYMASK_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CACHE_HOME", cache and str(tmp_path / cache))
    assert weights_folder() == (tmp_path / cache if cache else tmp_path / "user" / ".cache") / "anymask"


def test_a_tilde_is_the_users_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ANYMASK_HOME", "~/weights")
    assert weights_folder() == tmp_path / "weights"


@pytest.mark.usefixtures("home")
def test_pocket_is_in_the_package():
    assert locate("pocket").is_file()
    assert locate("pocket").parent.name == "weights"


def test_a_model_may_be_a_file(tmp_path):
    path = tmp_path / "mine.pth"
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*mine\.pth: no such file"):
        locate(str(path))
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*: it is a folder"):
        locate(str(tmp_path))
    path.touch()
    assert locate(str(path)) == path
    with pytest.raises(UnknownModelError, match=r"unknown model 'vit_z'.*vit_b"):
        locate("vit_z")
