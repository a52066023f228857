import os
import subprocess
import sys

import pytest

from gradscape._idle_threads import let_idle_threads_sleep

_CHOICES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A process that has not loaded torch, and whose user has chosen nothing."""
    monkeypatch.delitem(sys.modules, "torch")
    for name in _CHOICES:
        monkeypatch.setenv(name, "")  # so that it is put back, also where it was not set
        monkeypatch.delenv(name)
    return monkeypatch


def test_idle_threads_sleep_unless_told_otherwise(fresh: pytest.MonkeyPatch) -> None:
    assert let_idle_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    assert 0 < int(os.environ["GOMP_SPINCOUNT"]) < 300_000  # for a shorter while than libgomp does by itself


@pytest.mark.parametrize("name", _CHOICES)
def test_what_the_user_chose_for_idle_threads_stays(fresh: pytest.MonkeyPatch, name: str) -> None:
    fresh.setenv(name, "7")
    before = dict(os.environ)
    assert not let_idle_threads_sleep()
    assert dict(os.environ) == before


def test_nothing_is_set_once_torch_has_read_it(fresh: pytest.MonkeyPatch) -> None:
    fresh.setitem(sys.modules, "torch", os)
    assert not let_idle_threads_sleep()
    assert "OMP_WAIT_POLICY" not in os.environ


def test_the_program_lets_idle_threads_sleep_before_torch_is_there_and_its_children_inherit_it() -> None:
    code = (
        "import os, sys\nfrom gradscape.cli import main\nsys.argv = ['gradscape', '--version']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nsys.stdout.flush()\n"
        "print('torch' in sys.modules, flush=True)\nos.system('echo $OMP_WAIT_POLICY')"
    )
    environment = {name: value for name, value in os.environ.items() if name not in _CHOICES}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[1:] == ["False", "passive"]
