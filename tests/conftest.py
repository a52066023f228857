import os
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread_per_worker() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real images and checkpoints; `.ci/run` fails when a test that needs it was skipped."""
    folder = os.environ.get("GRADSCAPE_TEST_DATA")
    if not folder:
        pytest.skip("GRADSCAPE_TEST_DATA is not set")
    return Path(folder)
