"""Two thousand damaged inputs, all that was found before, and whether the campaign itself sees what it is to see."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gradscape.cli.app
from tests.fuzz import workers
from tests.fuzz.attempt import Input, Verdict
from tests.fuzz.journal import Journal, write_page, write_table
from tests.fuzz.kept_inputs import kept_rows
from tests.fuzz.kinds import KINDS, Kinds
from tests.fuzz.originals import KEPT
from tests.fuzz.plain_readers import Numbers, differing
from tests.fuzz.workers import Tried, try_inputs

PROJECT = Path(gradscape.__file__).parents[1]
INPUTS = 2000


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> list[Tried]:
    """What a campaign of its own process noted, of drawn inputs and of kept ones."""
    journal = tmp_path_factory.mktemp("campaign") / "journal.jsonl"
    command = [sys.executable, "-m", "tests.fuzz", "--seed", "0", "--inputs", str(INPUTS), "--jobs", "1", "--kept"]
    done = subprocess.run(
        [*command, "--journal", str(journal)], cwd=PROJECT, check=False, capture_output=True, text=True
    )
    assert done.returncode in (0, 1), done.stderr
    return Journal(journal).tried


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Kinds:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(KEPT))
        return Kinds(tmp_path_factory.mktemp("originals"))


def findings(tried: list[Tried]) -> list[str]:
    return [f"{one.number} {one.kind}: {one.how}: {one.verdict.said}" for one in tried if one.verdict.word == "finding"]


@pytest.mark.slow
def test_no_drawn_input_is_more_than_a_refusal_or_other_than_it_holds(tried: list[Tried]) -> None:
    drawn = [one for one in tried if one.number >= 0]
    assert len(drawn) == INPUTS
    assert findings(drawn) == []
    assert {one.kind for one in drawn} == KINDS.keys()


@pytest.mark.slow
def test_what_was_found_once_stays_mended(tried: list[Tried]) -> None:
    kept = [one for one in tried if one.number < 0]
    assert len(kept) == len(kept_rows()) > 0
    assert findings(kept) == []


def test_an_input_is_made_again_of_its_seed_and_number_alone(kinds: Kinds, tmp_path: Path) -> None:
    made = []
    for name in ("first", "second"):
        place = tmp_path / name / "same"
        place.mkdir(parents=True)
        kind, one = kinds.make(3, 17, place, kind="surfaces")
        made.append((kind, one.how, {path.name: path.read_bytes() for path in place.iterdir()}))
    assert made[0] == made[1]


def test_plain_readers_find_in_valid_files_what_gradscape_finds(kinds: Kinds) -> None:
    assert {one.path.suffix for one in kinds.originals} > {
        ".h5",
        ".npz",
        ".safetensors",
        ".pt",
        ".csv",
        ".json",
        ".png",
    }
    for original in kinds.originals:
        if original.path.suffix not in (".jpg", ".webp"):  # which would be encoded once more
            assert differing(original.plain(original.path), original.numbers) == [], original.path.name


def run_library_code() -> Numbers:
    return dict[str, Numbers]()["absent"]


def take_memory() -> Numbers:
    return {"much": np.ones(2**29)}


def hang() -> Numbers:
    while True:
        pass


def die() -> Numbers:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def warn() -> Numbers:
    os.write(2, b"HDF5-DIAG: Error detected in HDF5, as a library in C says it\n")
    return {"loss": np.zeros(2)}


def refuse(message: str) -> Callable[[], Numbers]:
    def read() -> Numbers:
        raise ValueError(message)

    return read


def ramble() -> Numbers:
    sys.stderr.write(f"gradscape: x.h5 {'long ' * 300}\n")
    raise SystemExit(2)


PLANTED: dict[str, tuple[Callable[[], Numbers], str]] = {
    "traceback": (run_library_code, "traceback: .*KeyError"),
    "memory": (take_memory, "memory"),
    "hang": (hang, "hangs"),
    "death": (die, "the process died"),
    "warning": (warn, "noise"),
    "long": (ramble, "too long"),
    "nameless": (refuse("it is wrong"), "does not name"),
    "raw": (refuse("x.h5: 'int' object is not subscriptable"), "unforeseen"),
    "other numbers": (lambda: {"loss": np.ones(2)}, "accepted with other numbers"),
}


@pytest.mark.slow
def test_every_planted_fault_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SECONDS", 2.0)
    names = list(PLANTED)

    def make(number: int, place: Path) -> tuple[str, Input]:
        return "lines", Input("", PLANTED[names[number]][0], {"loss": np.zeros(2)}, named=("x.h5",))

    verdicts = {names[one.number]: one.verdict for one in try_inputs(make, range(len(names)))}
    assert {name: verdict.word for name, verdict in verdicts.items()} == dict.fromkeys(names, "finding")
    for name, (_, told) in PLANTED.items():
        assert re.match(told, verdicts[name].said), (name, verdicts[name].said)


def test_code_that_was_run_is_found(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (one,) = try_inputs(
        lambda number, place: ("results", Input("", lambda: {"made": canary.write_text("")}, {}, canary=canary)), [0]
    )
    assert one.verdict.said.startswith("code was run")


def test_a_worker_that_dies_takes_no_other_input_with_it() -> None:
    def make(number: int, place: Path) -> tuple[str, Input]:
        return "lines", Input("", die if number == 2 else dict, {})

    words = {one.number: one.verdict.word for one in try_inputs(make, range(5), jobs=2)}
    assert words == {0: "equal", 1: "equal", 2: "finding", 3: "equal", 4: "equal"}


def test_a_journal_goes_on_behind_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    one = Tried(0, "lines", "flip", Verdict("refused", "line.h5 is damaged"), 0.1)
    Journal(path).add(one)
    path.write_text(path.read_text() + '{"number": 1, "ki')
    journal = Journal(path)
    journal.add(Tried(1, "lines", "cut", Verdict("equal"), 0.1))
    assert Journal(path).tried == [one, Tried(1, "lines", "cut", Verdict("equal"), 0.1)]


def test_the_table_adds_up_seeds_and_counts_none_twice(tmp_path: Path) -> None:
    table, page = tmp_path / "table.csv", tmp_path / "page.md"
    some = [Tried(number, "lines", "", Verdict("refused" if number else "equal"), 0.1) for number in range(3)]
    for seed, part in ((1, some), (2, some), (1, [*some, *some])):
        write_table(seed, part, table)
    page.write_text("<!-- table: python -m tests.fuzz -->\n<!-- end of the table -->\n", encoding="utf-8")
    write_page(table, page)
    assert "| lines | 9 | 6 | 3 | 0 | 0 |" in page.read_text(encoding="utf-8")
    assert "| **all** | 9 | 6 | 3 | 0 | 0 |" in page.read_text(encoding="utf-8")
    assert Counter(row.split(",")[0] for row in table.read_text().splitlines()[1:]) == {"1": 1, "2": 1}
