"""A session with Ray, begun quietly and ended without a trace."""

import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import ray
from ray._common.utils import get_default_system_temp_dir
from ray._private import ray_constants
from ray._private import worker as driver
from ray._private.services import canonicalize_bootstrap_address
from ray._private.state import actors
from ray._private.utils import get_num_cpus
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # it is no Python
from ray.exceptions import RayError

__all__ = ["ray_session", "whereabouts"]

_KNOCK_SECONDS = 10.0
_FOLDER_LETTERS = 40  # that a socket's whole name, of which Ray adds 64, fits into the 107 that Linux allows


@contextmanager
def ray_session(address: str, *, cores: int) -> Iterator[None]:
    """A session on a cluster; nothing is printed, and no usage statistics are sent.

    A session that is there already is used and stays. Else Ray's handler of SIGTERM, which lets `finally`
    clauses run, is there for as long as the session, unless the program has one of its own.

    Args:
        address: "local" starts a cluster here, which no other machine and no other user can reach, "auto" finds the
            one that this machine is a node of, HOST:PORT names it.
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
    with _as_it_was(), ExitStack() as undo:
        here = {}
        if address == "local":
            here = {"num_cpus": max(cores, _own_cores()), **undo.enter_context(_out_of_reach())}
        undo.callback(ray.shutdown)
        _begin(address, here)
        yield


def whereabouts(actor: Any) -> str:
    """The process of an actor and its node, for people, as far as Ray knows them."""
    known = actors(actor._actor_id.hex())
    return f"process {known['Pid']} on {known['Address']['IPAddress']}" if known.get("Pid") else "a process"


@contextmanager
def _out_of_reach() -> Iterator[dict[str, Any]]:
    """Options of a cluster that is started here, such that nobody else can reach it.

    Ray executes what whoever reaches it sends. By itself it listens on all interfaces, has sockets, logs and unpacked
    code in folders that all users may write to, and leaves its token in the home folder, readable for all.
    """
    among_machines = ray_constants.ENABLE_RAY_CLUSTER
    base = get_default_system_temp_dir()
    fits = len(f"{base}/ray-12345678/0") <= _FOLDER_LETTERS
    folder = tempfile.mkdtemp(prefix="ray-", dir=base if fits else "/tmp")  # noqa: S108
    try:
        ray_constants.ENABLE_RAY_CLUSTER = False  # it then listens on the loopback interface alone
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        _heed_environment()
        # One within, since Ray lets everybody into the folder that it is given.
        yield {"include_dashboard": False, "_temp_dir": f"{folder}/0"}
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = among_machines
        shutil.rmtree(folder, ignore_errors=True)


def _begin(address: str, here: dict[str, Any]) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    handler = signal.getsignal(signal.SIGTERM)
    driver._worker_logs_enabled = False  # else the deaths of workers are printed, whatever the next lines say
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _knock(address)
            # Not even errors are logged: of what cannot be unpickled that would be a traceback.
            ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL, **here)
        if callable(handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # the program's own, which lets `finally` clauses run, too
    except (OSError, RuntimeError, ValueError, RayError) as problem:
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
        _heed_environment()


def _heed_environment() -> None:
    """Let Ray read its settings and its token anew: it reads them once."""
    AuthenticationTokenLoader.instance().reset_cache()
    Config.initialize("")


def _is_rays(name: str) -> bool:
    """Whether it is an environment variable that a session sets."""
    return name.startswith("RAY_") or name == "PYTHONBREAKPOINT"
