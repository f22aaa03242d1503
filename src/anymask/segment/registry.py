"""Methods that objects of this package offer but that higher packages implement.

`segment` may not import drawing or file formats, so `Masks.draw` and `Masks.save` look their
implementation up here; `anymask/__init__` fills the table.
"""

from collections.abc import Callable
from typing import Any

from anymask.segment.errors import NotRegisteredError

_methods: dict[str, Callable[..., Any]] = {}


def register_method(name: str, function: Callable[..., Any]) -> None:
    """Make `function` the implementation of the method `name`, for example "Masks.draw".

    The function receives the object as its first argument. A later registration replaces an earlier one.
    """
    _methods[name] = function


def registered_method(name: str) -> Callable[..., Any]:
    """Return the implementation of the method `name`.

    Raises NotRegisteredError (an AttributeError) if nothing was registered under that name.
    """
    try:
        return _methods[name]
    except KeyError:
        raise NotRegisteredError(
            f"{name} is provided by another part of anymask that is not loaded; `import anymask` loads it"
        ) from None
