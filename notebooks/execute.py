"""Run notebooks from top to bottom and store what comes out.

`python notebooks/execute.py` runs all of them in a new temporary folder, one after the other, and writes the outputs
into the notebooks themselves; `--help` tells the rest. Jupyter writes nothing into the user's home, and no network
is within reach.
"""

import argparse
import base64
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from PIL import Image

NOTEBOOKS = sorted(Path(__file__).parent.glob("*.ipynb"))

_CELL_SECONDS = 600
_DPI = 110
_KERNEL = "this-python"
_NOWHERE = "http://127.0.0.1:9"
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, default=NOTEBOOKS, help="by default all")
    parser.add_argument("--work", type=Path, help="folder to run in, which may hold networks trained before")
    parser.add_argument("-o", "--output", type=Path, help="folder for the notebooks that ran, instead of their own")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch, "work")
        work.mkdir(parents=True, exist_ok=True)
        for path in options.notebooks:
            start = time.monotonic()
            executed, seconds = execute(path, work, Path(scratch))
            nbformat.write(executed, (options.output or path.parent) / path.name)
            print(f"{path.name}: {time.monotonic() - start:.0f} s, of a processor {seconds:.0f} s")


def execute(path: Path, work: Path, scratch: Path) -> tuple[NotebookNode, float]:
    """Run a notebook in a kernel of this Python.

    Args:
        path: The notebook; it is only read.
        work: Folder to run it in.
        scratch: Folder for the kernel's own files.

    Returns:
        The notebook with its outputs, and the seconds that it took of a processor.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(new_code_cell("import time\nprint(time.process_time())"))
    client = NotebookClient(
        notebook,
        km=_kernel_manager(scratch),
        timeout=_CELL_SECONDS,
        coalesce_streams=True,
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(work)}},
    )
    without_network = {"http_proxy": _NOWHERE, "https_proxy": _NOWHERE}
    client.execute(cleanup_kc=True, env={**os.environ, **without_network, "IPYTHONDIR": str(scratch)})
    seconds = float(notebook.cells.pop().outputs[0].text)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = _smaller(output.data["image/png"])
    notebook.metadata = nbformat.from_dict(_METADATA)
    return notebook, seconds


def _smaller(picture: str) -> str:
    """The PNG in 256 colors of its own, in base64: a third of the size, and hardly to be told apart."""
    packed = io.BytesIO()
    whole = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    whole.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2).save(packed, "png", optimize=True)
    return base64.b64encode(packed.getvalue()).decode()


def _kernel_manager(scratch: Path) -> AsyncKernelManager:
    """Of kernels that are this Python, whatever kernels the user has."""
    folder = scratch / "kernels" / _KERNEL
    folder.mkdir(parents=True, exist_ok=True)
    pictures = f"--InlineBackend.print_figure_kwargs={{'dpi': {_DPI}}}"
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", pictures]
    (folder / "kernel.json").write_text(json.dumps({"argv": command, "display_name": _KERNEL, "language": "python"}))
    specs = KernelSpecManager(kernel_dirs=[str(folder.parent)])
    # Sockets in files of our own: those of TCP anybody on the machine can listen to, as Jupyter warns.
    return AsyncKernelManager(
        kernel_name=_KERNEL,
        kernel_spec_manager=specs,
        connection_file=str(scratch / "connection.json"),
        transport="ipc",
        ip=str(scratch / "socket"),
    )


if __name__ == "__main__":
    main()
