import importlib
import importlib.util
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import anymask
from anymask.compat import InstallError, install, uninstall
from anymask.compat.__main__ import main
from anymask.models.registry import build_model
from anymask.segment.segmenter import DeviceError

OURS = "anymask.compat.segment_anything"
MODULES = [
    "",
    ".build_sam",
    ".predictor",
    ".modeling",
    ".modeling.sam",
    ".modeling.common",
    ".modeling.image_encoder",
    ".modeling.mask_decoder",
    ".modeling.prompt_encoder",
    ".modeling.transformer",
    ".utils",
    ".utils.transforms",
]


def published_modules():
    return {name for name in sys.modules if name.partition(".")[0] == "segment_anything"}


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch):
    monkeypatch.delenv("ANYMASK_PRECISION", raising=False)
    uninstall()
    for name in published_modules():
        monkeypatch.delitem(sys.modules, name)
    yield
    uninstall()
    assert published_modules() == set()


@pytest.fixture
def other_package(tmp_path, monkeypatch):
    """Another package of the published name, on the path."""
    folder = tmp_path / "segment_anything"
    (folder / "modeling").mkdir(parents=True)
    (folder / "__init__.py").write_text("from .modeling import Sam\n")
    (folder / "modeling" / "__init__.py").write_text("class Sam: pass\n")
    (folder / "onnx_only.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in published_modules():
        sys.modules.pop(name)


@pytest.mark.parametrize("order", [MODULES, MODULES[::-1]], ids=["top first", "bottom first"])
def test_published_names_give_the_same_modules(order):
    install()
    for suffix in order:
        assert importlib.import_module(f"segment_anything{suffix}") is importlib.import_module(f"{OURS}{suffix}")
    for suffix in MODULES:
        module = sys.modules[f"segment_anything{suffix}"]
        assert module.__name__ == module.__spec__.name == f"{OURS}{suffix}"
    importlib.reload(sys.modules["segment_anything.modeling"])


def test_statements_that_programs_use():
    install()
    names = {}
    exec(
        "import segment_anything, segment_anything.build_sam\n"
        "import segment_anything.modeling.sam as sam_module\n"
        "from segment_anything import SamPredictor, sam_model_registry, build_sam_vit_b\n"
        "from segment_anything import modeling, predictor\n"
        "from segment_anything.modeling import Sam, ImageEncoderViT\n"
        "from segment_anything.utils.transforms import ResizeLongestSide\n",
        names,
    )
    assert names["sam_module"].Sam is names["Sam"] is type(build_model("pocket", 64))
    assert names["modeling"].Sam is names["Sam"]
    assert names["segment_anything"].SamPredictor is names["SamPredictor"] is names["predictor"].SamPredictor
    assert "vit_h" in names["sam_model_registry"]


@pytest.mark.parametrize("statement", ["import segment_anything.build_sam", "from segment_anything.build_sam import *"])
def test_a_function_with_the_name_of_its_module_stays_a_function(statement):
    install()
    names = {}
    exec(f"{statement}\nimport segment_anything", names)
    package = names["segment_anything"]
    assert package.build_sam is package.build_sam_vit_h
    assert sys.modules["segment_anything.build_sam"].build_sam is package.build_sam


def test_nothing_happens_before_it_is_asked_for():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("segment_anything")
    assert anymask.compat.install is install


def test_specifications_can_be_asked_for_without_an_import():
    install()
    package = importlib.util.find_spec("segment_anything")
    assert package.name == "segment_anything"
    assert package.submodule_search_locations
    assert published_modules() == set()
    module = importlib.util.find_spec("segment_anything.modeling.sam")
    assert module.submodule_search_locations is None
    assert module.origin.endswith("sam.py")
    importlib.import_module("segment_anything.modeling.sam")
    assert importlib.util.find_spec("segment_anything.modeling.sam") is not None


@pytest.mark.parametrize("name", ["segment_anything.none", "segment_anything.utils.none", "segment_anything.none.deep"])
def test_what_the_drop_in_lacks_is_missing_by_its_published_name(name):
    install()
    with pytest.raises(ModuleNotFoundError, match=rf"No module named '{name.removesuffix('.deep')}'"):
        importlib.import_module(name)
    if not name.endswith(".deep"):
        assert importlib.util.find_spec(name) is None


def test_other_packages_are_left_alone(tmp_path, monkeypatch):
    (tmp_path / "segment_anything_other.py").write_text("value = 3")
    monkeypatch.syspath_prepend(tmp_path)
    install()
    assert importlib.import_module("segment_anything_other").value == 3


def test_the_generator_and_its_parts_are_there():
    install()
    published = importlib.import_module("segment_anything")
    generator = importlib.import_module("segment_anything.automatic_mask_generator")
    assert published.SamAutomaticMaskGenerator is generator.SamAutomaticMaskGenerator
    assert importlib.import_module("segment_anything.utils.amg").MaskData is generator.MaskData
    with pytest.raises(AttributeError, match=r"'anymask\.compat\.segment_anything' has no attribute 'Sam3'"):
        _ = importlib.import_module("segment_anything").Sam3


@pytest.mark.usefixtures("other_package")
def test_an_installed_package_stands_back():
    install()
    assert importlib.import_module("segment_anything").__name__ == OURS
    # Names of the two must not mix.
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("segment_anything.onnx_only")
    uninstall()
    assert importlib.import_module("segment_anything").__name__ == "segment_anything"


def test_a_package_in_use_is_only_replaced_by_force(other_package):
    other = importlib.import_module("segment_anything")
    with pytest.raises(InstallError) as caught:
        install("bfloat16")
    assert str(other_package / "__init__.py") in str(caught.value)
    assert "before anything imports it, or install(force=True)" in str(caught.value)
    assert isinstance(caught.value, anymask.AnymaskError)
    assert importlib.import_module("segment_anything") is other
    install(force=True)
    assert importlib.import_module("segment_anything").__name__ == OURS
    assert importlib.import_module("segment_anything.modeling").Sam is type(build_model("pocket", 64))
    uninstall()
    assert importlib.import_module("segment_anything") is other
    assert importlib.import_module("segment_anything.modeling").Sam is other.Sam


def test_twice_is_once():
    before = list(sys.meta_path)
    install()
    install()
    assert len(sys.meta_path) == len(before) + 1
    importlib.import_module("segment_anything")
    install()
    uninstall()
    uninstall()
    assert sys.meta_path == before
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("segment_anything")
    install()
    assert importlib.import_module("segment_anything").__name__ == OURS


def test_a_patch_through_one_name_is_seen_through_the_other(monkeypatch):
    install()
    monkeypatch.setattr("segment_anything.predictor.SamPredictor.predict", "patched")
    assert anymask.compat.segment_anything.SamPredictor.predict == "patched"


def test_pickles_by_published_names_are_read():
    install()
    transform = importlib.import_module("segment_anything.utils.transforms").ResizeLongestSide(64)
    content = pickle.dumps(transform, protocol=0)
    assert OURS.encode() in content
    published = content.replace(OURS.encode(), b"segment_anything")
    assert type(pickle.loads(published)) is type(pickle.loads(content)) is type(transform)


@pytest.fixture(scope="module")
def pocket():
    torch.manual_seed(3)
    return build_model("pocket", 128).eval()


def embed(pocket, image):
    predictor = importlib.import_module("segment_anything").SamPredictor(pocket)
    predictor.set_image(image)
    return predictor.get_image_embedding()


def test_the_precision_of_the_process(pocket, image, monkeypatch):
    install()
    exact = embed(pocket, image)
    install(precision="bfloat16")
    coarse = embed(pocket, image)
    assert coarse.dtype == torch.float32
    assert 1e-4 < (coarse - exact).norm() / exact.norm() < 0.1
    monkeypatch.setenv("ANYMASK_PRECISION", "float32")
    assert torch.equal(embed(pocket, image), coarse)
    install(precision="auto")
    assert any(torch.equal(embed(pocket, image), one) for one in (exact, coarse))
    monkeypatch.setenv("ANYMASK_PRECISION", "bfloat16")
    install(precision="float32")
    assert torch.equal(embed(pocket, image), exact)
    install()
    assert torch.equal(embed(pocket, image), coarse)
    monkeypatch.setenv("ANYMASK_PRECISION", "")
    assert torch.equal(embed(pocket, image), exact)
    install(precision="bfloat16")
    uninstall()
    install()
    assert torch.equal(embed(pocket, image), exact)


def test_an_unknown_precision_is_refused_before_anything_changes(pocket, image, monkeypatch):
    with pytest.raises(DeviceError, match="unknown precision 'half': use auto, float32, bfloat16"):
        install(precision="half")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("segment_anything")
    monkeypatch.setenv("ANYMASK_PRECISION", "half")
    install()
    with pytest.raises(DeviceError, match="ANYMASK_PRECISION: unknown precision 'half'"):
        embed(pocket, image)


def test_masks_are_those_of_the_own_interface(pocket, image):
    install()
    predictor = importlib.import_module("segment_anything").SamPredictor(pocket)
    predictor.set_image(image)
    masks, scores, _ = predictor.predict(np.array([[150, 90]]), np.array([1]))
    ours = anymask.load(pocket, device="cpu", precision="float32").encode(image).segment(points=[(150, 90)])
    assert (ours.decode() != masks[np.argsort(-scores, kind="stable")]).mean() < 1e-3


@pytest.fixture
def typed(monkeypatch):
    """Run ``python -m anymask.compat`` with arguments, in this process."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["anymask/compat/__main__.py", *map(str, arguments)])
        monkeypatch.setattr(sys, "path", ["", *sys.path])
        main()

    return run


SCRIPT = """
import sys
from segment_anything import SamPredictor
from beside import value
print(__name__, SamPredictor.__module__, value, sys.argv[1:])
sys.exit(3)
"""


@pytest.mark.parametrize("as_module", [False, True])
def test_a_program_runs_unchanged(typed, tmp_path, monkeypatch, capsys, as_module):
    (tmp_path / "program.py").write_text(SCRIPT)
    (tmp_path / "beside.py").write_text("value = 7")
    if as_module:
        monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="3"):
        typed(*(["-m", "program"] if as_module else [tmp_path / "program.py"]), "--option", "x")
    monkeypatch.delitem(sys.modules, "beside")
    assert capsys.readouterr().out == f"__main__ {OURS}.predictor 7 ['--option', 'x']\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "usage: python -m anymask.compat SCRIPT.py"),
        (["-m"], 2, "usage: "),
        (["-x"], 2, "usage: "),
        (["none.py"], "anymask: there is no script at none.py", ""),
    ],
)
def test_a_program_that_is_not_there(typed, capsys, arguments, code, message):
    with pytest.raises(SystemExit) as caught:
        typed(*arguments)
    assert caught.value.code == code
    assert message in capsys.readouterr().err


def test_help_is_no_error(typed, capsys):
    with pytest.raises(SystemExit) as caught:
        typed("--help")
    assert caught.value.code == 0
    assert "usage: " in capsys.readouterr().out


def test_the_guide_runs():
    guide = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    names = {}
    exec(block, names)
    assert names["SamPredictor"].__module__ == f"{OURS}.predictor"
