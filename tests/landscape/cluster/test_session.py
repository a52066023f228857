"""How a session with Ray begins and ends, without any."""

import logging
import os
import stat
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray")

from ray._private import ray_constants  # noqa: E402
from ray._raylet import AuthenticationMode, get_authentication_mode  # type: ignore[attr-defined]  # noqa: E402
from ray.exceptions import AuthenticationError  # noqa: E402

from gradscape.landscape.cluster import session  # noqa: E402
from gradscape.landscape.cluster.session import ray_session  # noqa: E402


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What Ray would have been started with, and how the process was then."""
    seen: list[dict[str, Any]] = []

    def start(address: str, **options: Any) -> None:
        mode = get_authentication_mode()
        among = ray_constants.ENABLE_RAY_CLUSTER
        seen.append({"address": address, **options, "mode": mode, "among": among, "environment": dict(os.environ)})

    monkeypatch.setattr(ray, "init", start)
    monkeypatch.setattr(session, "_knock", lambda _: None)
    return seen


def test_a_cluster_that_is_started_here_is_this_users_and_this_machines_alone(
    begun: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # what somebody set for another cluster
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "missing"))
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    environment, mode = dict(os.environ), get_authentication_mode()
    folders, tokens = [], []
    for _ in range(2):
        with ray_session("local", cores=1):
            folders.append(Path(begun[-1]["_temp_dir"]).parent)
            assert stat.S_IMODE(folders[-1].stat().st_mode) == 0o700
            tokens.append(begun[-1]["environment"]["RAY_AUTH_TOKEN"])
    assert [(one["among"], one["mode"], one["include_dashboard"]) for one in begun] == [
        (False, AuthenticationMode.TOKEN, False)
    ] * 2
    assert len({*folders}) == len({*tokens}) == 2
    assert min(map(len, tokens)) == 64
    assert {one["logging_level"] for one in begun} == {logging.CRITICAL}
    assert {one["environment"]["RAY_USAGE_STATS_ENABLED"] for one in begun} == {"0"}
    assert not any(folder.exists() for folder in folders)
    assert (dict(os.environ), get_authentication_mode(), ray_constants.ENABLE_RAY_CLUSTER) == (environment, mode, True)


def test_sockets_fit_where_the_folder_for_temporary_files_has_a_long_name(
    begun: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (long := tmp_path / ("job_" * 10)).mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(long))
    with ray_session("local", cores=1):
        pass
    folder = begun[0]["_temp_dir"]
    longest = f"{folder}/session_2026-11-27_20-09-40_991221_4194304/sockets/plasma_store"
    assert len(longest) <= 107


def test_another_cluster_is_taken_with_its_own_token_and_folder(begun: list[dict[str, Any]]) -> None:
    mode = get_authentication_mode()
    with ray_session("auto", cores=1):
        pass
    assert "_temp_dir" not in begun[0]
    assert (begun[0]["mode"], begun[0]["among"]) == (mode, True)
    assert begun[0]["environment"].get("RAY_AUTH_TOKEN") == os.environ.get("RAY_AUTH_TOKEN")


def test_a_cluster_that_wants_another_token_is_refused_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AuthenticationError("InvalidAuthToken: the token\nis another one")

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(session, "_knock", lambda _: None)
    with (
        pytest.raises(
            RuntimeError, match=r"^`ray` found no cluster at auto that it can join: InvalidAuthToken.*token$"
        ),
        ray_session("auto", cores=1),
    ):
        pass


def test_nothing_stays_of_a_cluster_that_did_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no memory")

    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    monkeypatch.setattr(session.tempfile, "mkdtemp", lambda **_: str(tmp_path / "ray-1"))
    (tmp_path / "ray-1").mkdir()
    monkeypatch.setattr(ray, "init", fail)
    before = dict(os.environ)
    with (
        pytest.raises(RuntimeError, match=r"^`ray` found no cluster at local that it can join: no memory$"),
        ray_session("local", cores=1),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
    assert (dict(os.environ), ray_constants.ENABLE_RAY_CLUSTER) == (before, True)
