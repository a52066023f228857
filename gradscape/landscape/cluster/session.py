"""A session with Ray, begun quietly and ended without a trace."""

import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray._private import worker as driver
from ray._private.services import canonicalize_bootstrap_address
from ray._private.utils import get_num_cpus

__all__ = ["ray_session"]

_KNOCK_SECONDS = 10.0


@contextmanager
def ray_session(address: str, *, cores: int) -> Iterator[None]:
    """A session on a cluster; nothing is printed, and no usage statistics are sent.

    A session that is there already is used and stays. Else Ray's handler of SIGTERM, which lets `finally`
    clauses run, is there for as long as the session, unless the program has one of its own.

    Args:
        address: "local" starts a cluster here, "auto" finds the one that this machine is a node of,
            HOST:PORT names it.
        cores: A cluster started here says that it has so many at least.

    Raises:
        ValueError: The address is of another form.
        RuntimeError: There is no such cluster, or it has another version of Ray or Python.
    """
    if ray.is_initialized():
        yield
        return
    if "://" in address:
        raise ValueError(
            f"`ray` must be local, auto or HOST:PORT of a cluster that this machine is a node of, got {address}: "
            "start the command on the cluster, such as with ray job submit"
        )
    with _as_it_was():
        try:
            _begin(address, cores)
            yield
        finally:
            ray.shutdown()


def _begin(address: str, cores: int) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    handler = signal.getsignal(signal.SIGTERM)
    driver._worker_logs_enabled = False  # else the deaths of workers are printed, whatever the next lines say
    here: Any = {}
    if address == "local":
        here = {"num_cpus": max(cores, _own_cores()), "include_dashboard": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _knock(address)
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **here)
        if callable(handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # the program's own, which lets `finally` clauses run, too
    except (OSError, RuntimeError, ValueError) as problem:
        reason = str(problem).strip().splitlines()[0]
        raise RuntimeError(f"`ray` found no cluster at {address} that it can join: {reason}") from problem


def _knock(address: str) -> None:
    """Find out within seconds whether somebody is there: Ray tries for minutes.

    Raises:
        OSError: Nobody is.
        ValueError: It is no address.
    """
    found = canonicalize_bootstrap_address(address)
    if found is not None:
        host, _, port = found.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()


def _own_cores() -> int:
    """Cores that this process may use: Ray heeds a container's share, but not what a batch system bound it to."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(bound, int(get_num_cpus(override_docker_cpu_warning=True)))


@contextmanager
def _as_it_was() -> Iterator[None]:
    """Afterwards the environment, the handler of SIGTERM and Ray's own settings are as before."""
    environment, logger, printed = dict(os.environ), logging.getLogger("ray"), driver._worker_logs_enabled
    level = logger.level
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM) if main else None
    try:
        yield
    finally:
        if handler is not None:
            signal.signal(signal.SIGTERM, handler)
        logger.setLevel(level)
        driver._worker_logs_enabled = printed
        for name in filter(_is_rays, set(os.environ) | set(environment)):
            os.environ.pop(name, None)
        os.environ.update({name: value for name, value in environment.items() if _is_rays(name)})


def _is_rays(name: str) -> bool:
    """Whether it is an environment variable that a session sets; one of them Ray has read for good."""
    return (name.startswith("RAY_") and name != "RAY_AUTH_MODE") or name == "PYTHONBREAKPOINT"
