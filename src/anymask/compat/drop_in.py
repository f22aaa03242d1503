"""The drop-in in the place of ``segment_anything`` for a whole process, so that packages run that import it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from anymask.compat.precision import set_drop_in_precision
from anymask.errors import AnymaskError

PUBLISHED = "segment_anything"
OURS = "anymask.compat.segment_anything"


class InstallError(AnymaskError, ImportError):
    """The drop-in cannot take the place of a package that is already in use; the message says what to do."""


def _is_published(name: str) -> bool:
    return name == PUBLISHED or name.startswith(f"{PUBLISHED}.")


def _is_ours(module: ModuleType) -> bool:
    return module.__name__ == OURS or module.__name__.startswith(f"{OURS}.")


class _Alias(Loader):
    """Lets a name stand for a module of ours: the same object, so that monkeypatches and isinstance agree."""

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave the empty module, which is replaced at once, to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        """Put our module into its place, as the import system allows a module to do while it is loaded."""
        importlib.import_module(OURS + module.__name__.removeprefix(PUBLISHED))
        # All that are loaded, because the import system binds a module that it loads to its name in the package, where
        # the package may meanwhile have put something else: build_sam is a module and a function.
        for name, loaded in list(sys.modules.items()):
            if name == OURS or name.startswith(f"{OURS}."):
                sys.modules[PUBLISHED + name.removeprefix(OURS)] = loaded


class _Finder(MetaPathFinder):
    """Finds our modules under the published names, each when it is asked for."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Describe the module of ours that has this published name; None where there is none."""
        del path, target
        if not _is_published(fullname):
            return None
        try:
            ours = importlib.util.find_spec(OURS + fullname.removeprefix(PUBLISHED))
        except ModuleNotFoundError:
            return None
        if ours is None:
            return None
        spec = ModuleSpec(fullname, _Alias(), origin=ours.origin)
        spec.submodule_search_locations = ours.submodule_search_locations
        return spec


_finder = _Finder()
_replaced: dict[str, ModuleType] = {}


def install(precision: str | None = None, *, force: bool = False) -> None:
    """Let ``import segment_anything``, anywhere in this process and from now on, give anymask's drop-in.

    The modules are those of :mod:`anymask.compat.segment_anything`. Whether the published package is installed does
    not matter. Calling it again only changes the precision.

    Args:
        precision: "auto" (bfloat16 where the processor has it), "float32" or "bfloat16", for the image encoder of
            every ``SamPredictor``; None leaves it to the environment variable ``ANYMASK_PRECISION``, and without
            that to float32.
        force: replace the published package even if it has already been imported. Modules that took names from it
            before keep those.

    Raises:
        InstallError: the published package has already been imported.
        DeviceError: another precision.
    """
    foreign = {name: module for name, module in sys.modules.items() if _is_published(name) and not _is_ours(module)}
    if foreign and not force:
        origin = getattr(foreign.get(PUBLISHED), "__file__", None)
        raise InstallError(
            f"{PUBLISHED} has already been imported{f' from {origin}' if origin else ''}: call "
            "anymask.compat.install() before anything imports it, or install(force=True), which cannot change the "
            "names that other modules have already taken from it"
        )
    set_drop_in_precision(precision)
    for name in foreign:
        _replaced[name] = sys.modules.pop(name)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def uninstall() -> None:
    """Undo :func:`install`: what it replaced is back, and the precision is left to ``ANYMASK_PRECISION`` again."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for name in [name for name, module in sys.modules.items() if _is_published(name) and _is_ours(module)]:
        del sys.modules[name]
    sys.modules.update(_replaced)
    _replaced.clear()
    set_drop_in_precision(None)
