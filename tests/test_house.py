"""What keeps the house easy to live in: no circles, one meaning for a name, public lists, html in one room."""

import ast
import importlib
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

import gradscape

ROOT = Path(gradscape.__file__).parent
PROJECT = ROOT.parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_neighbors(path: Path) -> set[str]:
    """Files of the same folder that a script imports by their bare names."""
    names = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name for name in names if (path.parent / f"{name}.py").exists()}


def test_no_file_imports_itself_by_way_of_others() -> None:
    graph = grimp.build_graph("gradscape", cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    tuple(TopologicalSorter(imports).static_order())  # raises CycleError and names the circle


def test_no_benchmark_imports_itself_by_way_of_others() -> None:
    scripts = {path.stem: imported_neighbors(path) for path in (PROJECT / "benchmarks").glob("*.py")}
    assert any(scripts.values())
    tuple(TopologicalSorter(scripts).static_order())


def test_no_two_classes_have_one_name() -> None:
    # Its first underscore says who may use a class, not which one it is.
    names = Counter(
        node.name.strip("_") for path in MODULES for node in tree_of(path).body if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_no_file_repeats_the_name_of_its_folder() -> None:
    assert [str(path) for path in MODULES if path.stem == path.parent.name] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_lists_what_it_offers(path: Path) -> None:
    tree = tree_of(path)
    listed = [node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"]
    assert len(listed) == 1
    names = ast.literal_eval(listed[0].value)
    assert not [name for name in names if name.startswith("_")]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES} - {ROOT}), ids=lambda path: path.name)
def test_every_room_lists_its_public_names_and_has_them(folder: Path) -> None:
    room = importlib.import_module(".".join(folder.relative_to(PROJECT).parts))
    assert room.__all__
    assert all(hasattr(room, name) for name in room.__all__)


def test_html_and_scripts_lie_in_one_room() -> None:
    elsewhere = [
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*")
        if path.suffix in (".html", ".js", ".css") and not path.is_relative_to(ROOT / "figures" / "web")
    ]
    assert elsewhere == []


# What opens a file that anyone may have made -> where alone that is done, since there its declarations are checked.
READERS = {
    "np.load": set(),
    "np.loadtxt": set(),
    "np.genfromtxt": set(),
    "np.fromfile": set(),
    "pickle.load": set(),
    "pickle.loads": set(),
    "json.load": set(),
    "torch.load": {"_torch_files.py", "landscape/cluster/remote.py"},  # there from another process of ours
    "Image.open": {"data/pixels.py"},
    "csv.reader": {"_text_files.py"},
    "csv.DictReader": {"models/own_scores.py", "models/printed.py"},  # which come with the package
    "safe_open": {"_safetensors.py"},
    "zipfile.ZipFile": {"_zip_files.py"},
    "npy.read_magic": {"_npz.py"},
}
TEXTS = {  # no user's files, but the system's, the program's own and those of the package
    "_files.py",
    "cli/output_paths.py",
    "data/memory.py",
    "data/imagenet32.py",
    "models/own_scores.py",
    "models/printed.py",
}


def test_files_are_read_by_the_one_reader_of_their_kind() -> None:
    found: dict[str, set[str]] = {name: set() for name in READERS}
    texts = set()
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                where = str(path.relative_to(ROOT))
                found.get(name, set()).add(where)
                if name.endswith((".read_text", ".read_bytes")) and not name.startswith(("json", "self")):
                    texts.add(where)
                if name == "json.loads" and not ast.unparse(node.args[0]).startswith("json.dumps("):
                    found["json.load"] |= {where} - {"_text_files.py"}
    assert found == READERS
    assert texts <= TEXTS


def test_text_is_written_in_one_place() -> None:
    writers = set()
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                mode = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else ""
                if node.func.attr == "write_text" or (node.func.attr == "open" and mode in ("w", "a", "x")):
                    writers.add(str(path.relative_to(ROOT)))
    assert writers == {"_files.py"}
