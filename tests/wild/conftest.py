from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Importing timm and transformers takes seconds, which only those pay who ask for these tests."""
    return True if "not wild" in config.getoption("markexpr") else None
