"""What `import anymask` offers is what it says it offers, and all of it is explained."""

import inspect
import subprocess
import sys
import types

import pytest

import anymask


def public_members(owner):
    """Public functions, methods and properties that a class defines itself."""
    for name, member in vars(owner).items():
        if name.startswith("_"):
            continue
        if isinstance(member, staticmethod | classmethod):
            member = member.__func__
        if inspect.isfunction(member) or isinstance(member, property) or hasattr(member, "func"):
            yield name, member


def test_all_names_exist_and_are_sorted():
    assert len(set(anymask.__all__)) == len(anymask.__all__)
    assert list(anymask.__all__) == sorted(anymask.__all__)
    for name in anymask.__all__:
        assert hasattr(anymask, name), f"anymask.{name} is announced but missing"


def test_a_star_import_gives_what_is_announced():
    namespace = {}
    exec("from anymask import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(anymask.__all__)


def test_every_class_in_sight_is_announced():
    """Functions that only fill the registry are imported too; a class is there to be used."""
    visible = {name for name, value in vars(anymask).items() if inspect.isclass(value) and name[0] != "_"}
    assert visible <= set(anymask.__all__)


def test_the_names_of_the_design_are_there():
    expected = {
        "AnymaskError",
        "CheckpointError",
        "EncodedImage",
        "ImageError",
        "Masks",
        "Prompt",
        "PromptError",
    }
    assert expected | {"Segmenter", "load"} <= set(anymask.__all__)


def test_the_version_is_a_string():
    assert isinstance(anymask.__version__, str)


def test_the_package_is_explained():
    assert anymask.__doc__


@pytest.mark.parametrize("name", anymask.__all__)
def test_every_public_name_is_explained(name):
    value = getattr(anymask, name)
    if isinstance(value, types.ModuleType) or callable(value):
        assert inspect.getdoc(value), f"anymask.{name} has no docstring"
    if inspect.isclass(value):
        # A dataclass without a docstring gets its signature as one.
        assert not (value.__doc__ or "").startswith(f"{value.__name__}("), f"anymask.{name} has no docstring"
        for member_name, member in public_members(value):
            assert (member.__doc__ or "").strip(), f"anymask.{name}.{member_name} has no docstring"


@pytest.mark.parametrize("name", [name for name in anymask.__all__ if name.endswith("Error")])
def test_every_error_has_the_one_parent(name):
    assert issubclass(getattr(anymask, name), anymask.AnymaskError)


def test_the_import_needs_no_optional_package():
    optional = ("supervision", "matplotlib", "transformers", "skimage", "onnx", "onnxruntime", "onnxscript")
    program = f"import sys, anymask; print([name for name in {optional} if name in sys.modules])"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "[]"
