"""Parsed YAML or TOML to dataclasses: every key known, every value of its annotated type."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from pathlib import Path
from typing import Any

import yaml

from anymask.errors import AnymaskError


class ConfigError(AnymaskError, ValueError):
    """A training configuration is wrong; the message names the key and what it accepts."""


def _convert(value: Any, wanted: Any, key: str) -> Any:
    """Convert a parsed value to the annotated type of its key."""
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        return build(wanted, value, key)
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{key} must be a list, not {value!r}")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_convert(entry, arguments[0], f"{key}[{i}]") for i, entry in enumerate(value))
        if len(value) != len(arguments):
            raise ConfigError(f"{key} must have {len(arguments)} entries, not {len(value)}")
        return tuple(
            _convert(entry, kind, f"{key}[{i}]") for i, (entry, kind) in enumerate(zip(value, arguments, strict=True))
        )
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(value, next(kind for kind in arguments if kind is not type(None)), key)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if wanted is float and isinstance(value, str):
        # YAML 1.1 reads 4e-4 as text.
        try:
            return float(value)
        except ValueError:
            raise ConfigError(f"{key} must be a number, not {value!r}") from None
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise ConfigError(f"{key} must be of type {wanted.__name__}, not {value!r}")
    return value


def build(cls: type, values: Any, where: str = "") -> Any:
    """Make a dataclass of a parsed table.

    Args:
        cls: the dataclass.
        values: what was parsed.
        where: the table's key, for messages; "" for the whole file.

    Raises:
        ConfigError: a key is unknown or missing, or a value is of another type than its key's.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{where or 'the configuration'} must be a table of keys, not {values!r}")
    kinds = typing.get_type_hints(cls)
    fields = {entry.name: entry for entry in dataclasses.fields(cls)}
    prefix = f"{where}." if where else ""
    for key in values:
        if key not in fields:
            raise ConfigError(f"unknown key {prefix}{key}; known keys: {', '.join(fields)}")
    for name, entry in fields.items():
        required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ConfigError(f"the key {prefix}{name} is missing")
    return cls(**{key: _convert(value, kinds[key], prefix + key) for key, value in values.items()})


def read_values(path: str | Path) -> Any:
    """Parse a configuration file.

    Args:
        path: a ``.yaml``, ``.yml`` or ``.toml`` file.

    Raises:
        ConfigError: the file is missing, or not in its format.
    """
    path = Path(path)
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text") from error
    if path.suffix == ".toml":
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path} is not valid TOML: {error}") from error
    if path.suffix in (".yaml", ".yml"):
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    raise ConfigError(f"{path} must end in .yaml, .yml or .toml")
