import subprocess
import sys

import pytest

import gradscape


def _loaded_by(code: str) -> set[str]:
    report = f"import sys\n{code}\nprint(*(name for name in sys.modules if '.' not in name))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


@pytest.mark.parametrize(
    "code",
    [
        "import gradscape",
        "from gradscape.cli.app import app\ntry:\n    app(['--help'])\nexcept SystemExit:\n    pass",
        "from gradscape.cli.app import app\ntry:\n    app(['landscape', '--help'])\nexcept SystemExit:\n    pass",
    ],
)
def test_the_front_door_and_help_load_neither_torch_nor_matplotlib(code: str) -> None:
    loaded = _loaded_by(code)
    assert "gradscape" in loaded
    assert not loaded & {"torch", "matplotlib", "plotly", "numpy", "h5py"}


def test_sub_packages_come_when_asked_for() -> None:
    assert gradscape.landscape.Surface.__name__ == "Surface"
    assert set(gradscape.__all__) <= set(dir(gradscape))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gradscape.nothing
