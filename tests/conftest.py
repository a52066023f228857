import os
import signal
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch

from gradscape._allocator import keep_freed_memory


@pytest.fixture(autouse=True, scope="session")
def _process_as_commands_have_it() -> None:
    """One thread for each worker, and memory that is not given back after every operator."""
    torch.set_num_threads(1)
    keep_freed_memory()


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """The program, which tests run in this process, leaves no handler of Ctrl-C: nothing is to come after it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real images and checkpoints; `.ci/run` fails when a test that needs it was skipped."""
    folder = os.environ.get("GRADSCAPE_TEST_DATA")
    if not folder:
        pytest.skip("GRADSCAPE_TEST_DATA is not set")
    return Path(folder)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Leaves out the tests' own check of shapes, which no user has: for what it would find first, and for compilers."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
