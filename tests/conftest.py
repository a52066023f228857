import os
from pathlib import Path

import pytest
import torch

from gradscape._allocator import keep_freed_memory


@pytest.fixture(autouse=True, scope="session")
def _process_as_commands_have_it() -> None:
    """One thread for each worker, and memory that is not given back after every operator."""
    torch.set_num_threads(1)
    keep_freed_memory()


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real images and checkpoints; `.ci/run` fails when a test that needs it was skipped."""
    folder = os.environ.get("GRADSCAPE_TEST_DATA")
    if not folder:
        pytest.skip("GRADSCAPE_TEST_DATA is not set")
    return Path(folder)
