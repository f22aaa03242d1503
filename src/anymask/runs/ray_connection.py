"""The connection to a Ray cluster: an existing one, or one on this machine that nobody else can reach."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anymask.runs.errors import RunError
from anymask.segment.errors import MissingPackageError

MEMORY_FOR_RESULTS = 1 << 30
"""Bytes in the object store of a cluster that is started here."""
SECONDS_TO_CONNECT = 10.0
ANY = "any"
"""The address of the cluster that this machine belongs to, or else of one that is started here."""


def import_ray() -> Any:
    """Import Ray with its data sets.

    Raises:
        MissingPackageError: it is not installed.
    """
    # No telemetry, and nothing on the terminal but what is ours; whoever wants Ray's messages sets these otherwise.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
        import ray.data.exceptions
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise MissingPackageError('a cluster needs Ray: pip install "anymask[cluster]"') from error
    return ray


@contextmanager
def connected(ray: Any, address: str | None) -> Iterator[None]:
    """Be connected to a cluster; a connection that the caller has is used and kept.

    Args:
        ray: what :func:`import_ray` gives.
        address: "host:port", "auto", ANY, or None for a cluster that is started and stopped here.

    Raises:
        RunError: there is no cluster, or it does not let us in.
    """
    if ray.is_initialized():
        yield
        return
    address = address or "local"
    if ":" in address:
        _check_reachable(address)
    options = {"log_to_driver": False, "logging_level": logging.ERROR, "include_dashboard": False}
    # Ray replaces what the program does when it is told to end.
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if in_main_thread else None
    try:
        try:
            with _no_stderr():
                if address == ANY:
                    address = _join_own_cluster(ray, options)
                elif address != "local":
                    ray.init(address, **options)
                if address == "local":
                    with _loopback_only():
                        ray.init("local", object_store_memory=MEMORY_FOR_RESULTS, **options)
        except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            where = "on this machine" if address == "local" else f"at {address}"
            raise RunError(f"no Ray cluster {where}: {last_line(error)}") from error
        yield
    finally:
        ray.shutdown()
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _join_own_cluster(ray: Any, options: dict[str, Any]) -> str:
    """Connect to the cluster that this machine belongs to; say "local" if there is none, else "auto"."""
    try:
        ray.init("auto", **options)
    except ConnectionError:
        return "local"
    return "auto"


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not (port.isdecimal() and 0 < int(port) < 65536):
        raise RunError(f"{address} is not the address of a Ray cluster: give host:port, such as head:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS_TO_CONNECT).close()
    except OSError as error:
        raise RunError(f"no Ray cluster at {address}: {error.strerror or error}") from error


@contextmanager
def _loopback_only() -> Iterator[None]:
    """Let a cluster that is started meanwhile listen on the loopback interface only.

    Ray does so where it does not support clusters of several machines, and lets that be set.
    """
    from ray._private import ray_constants

    name, before = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, ray_constants.ENABLE_RAY_CLUSTER
    said = os.environ.get(name)
    os.environ[name], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        del os.environ[name]
        if said is not None:
            os.environ[name] = said


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Keep what compiled code says meanwhile off the terminal: Ray confirms there that it was told to be quiet."""
    sys.stderr.flush()
    saved, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nothing)


@contextmanager
def quiet(ray: Any) -> Iterator[None]:
    """Keep Ray's progress bars and messages off the terminal; they are in its log files."""
    context = ray.data.DataContext.get_current()
    settings = {"enable_progress_bars": False, "print_on_execution_start": False}
    before = {name: getattr(context, name) for name in settings}
    consoles = [
        handler for handler in logging.getLogger("ray.data").handlers if isinstance(handler, logging.StreamHandler)
    ]
    levels = [handler.level for handler in consoles]
    # Lost workers are announced on stdout, where a program's results may go.
    prints, ray._private.worker._worker_logs_enabled = ray._private.worker._worker_logs_enabled, False
    try:
        for name, value in settings.items():
            setattr(context, name, value)
        for handler in consoles:
            handler.setLevel(logging.CRITICAL)
        yield
    finally:
        ray._private.worker._worker_logs_enabled = prints
        for handler, level in zip(consoles, levels, strict=True):
            handler.setLevel(level)
        for name, value in before.items():
            setattr(context, name, value)


def last_line(error: BaseException) -> str:
    """Give what an error of Ray says without the remote traceback before it."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
