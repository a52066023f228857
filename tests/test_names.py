from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscape._names import (
    class_label,
    data_name,
    error_line,
    is_function_name,
    numbered,
    one_line,
    parse_options,
    path_tails,
    tell_apart,
    telling_parts,
    unknown_name,
    visible,
)


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("folder:/home/me/garden birds/", "garden birds"),
        ("npz:../data/set.v2.npz", "set.v2"),
        ("folder:C:\\Users\\me\\birds", "birds"),
        ("folder:birds", "birds"),
        ("folder:/", "folder"),
        ("cifar10", "cifar10"),
        ("noise:12", "noise:12"),
        ("package.module:function", "package.module:function"),
    ],
)
def test_a_data_set_is_called_without_where_it_lies(name: str, called: str) -> None:
    assert data_name(name) == called


def test_options_read_as_booleans_numbers_lists_and_text() -> None:
    assert parse_options("a=true,b=false,c=-3,d=0.5,e=14:17,f=spa_a,g=x:1") == {
        "a": True,
        "b": False,
        "c": -3,
        "d": 0.5,
        "e": [14, 17],
        "f": "spa_a",
        "g": ["x", 1],
    }


@pytest.mark.parametrize("text", ["", "a", "a=", "=3", "a=1,", "a b=1"])
def test_options_that_are_no_pairs_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="options must be written as key=value,key=value; got "):
        parse_options(text)


def test_option_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="option `a` is given twice; give it once"):
        parse_options("a=1,a=2")


def test_unknown_name_comes_with_its_near_matches() -> None:
    assert str(unknown_name("data", "cifar20", ["cifar10", "digits"])) == (
        "unknown `data` 'cifar20'; did you mean cifar10?"
    )
    birds = ["Passerina ciris (Painted Bunting)", "Aramus guarauna (Limpkin)"]
    assert str(unknown_name("class", "painted bunting", birds)) == (
        "unknown `class` 'painted bunting'; did you mean Passerina ciris (Painted Bunting)?"
    )


def test_an_unknown_name_that_is_like_none_comes_with_the_choices_where_they_are_few() -> None:
    assert str(unknown_name("data", "xyz", ["cifar10", "digits"])) == "unknown `data` 'xyz'; known: cifar10, digits"
    assert str(unknown_name("data", "xyz", ["cifar10"], listed=False)) == "unknown `data` 'xyz'"
    assert str(unknown_name("class", "xyz", [f"class{n}" for n in range(100)])) == "unknown `class` 'xyz'"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.b:c", True), ("a:B.c", True), ("a:", False), (":c", False), ("a/b:c", False), ("a:b:c", False), ("a", False)],
)
def test_function_names_are_told_from_others(name: str, *, expected: bool) -> None:
    assert is_function_name(name) == expected


def test_messages_become_one_short_line() -> None:
    assert error_line(ValueError("two\n  lines")) == "two lines"
    assert error_line(EOFError()) == "EOFError"
    assert len(error_line(ValueError("x" * 500))) == 201


def test_text_loses_its_line_breaks_and_keeps_its_length() -> None:
    assert one_line("two\n  lines\tor more ") == "two lines or more"
    assert one_line("x" * 500) == "x" * 500
    assert one_line(3) == "3"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[31mred\x07 a\x00b\x9b", r"\x1b[31mred\x07 a\x00b\x9b"),
        ("\u202egpj.exe \u2066x", r"\u202egpj.exe \u2066x"),
        ("byte \udcff, half \ud83d", r"byte \udcff, half \ud83d"),
        ("собака 猫 é \U0001f408 שלום نص a\u200db\u00a0c", "собака 猫 é \U0001f408 שלום نص a\u200db\u00a0c"),
        ("two\nlines\tand more", "two\nlines\tand more"),
    ],
)
def test_what_a_terminal_obeys_or_a_page_hides_is_spelled_out_and_letters_stay(text: str, seen: str) -> None:
    assert visible(text) == seen
    assert one_line(text) == " ".join(seen.split())


NAMES = st.text("ab1-/", max_size=3)
# Rows of names, one for each thing: few letters, so that names are often alike.
CANDIDATES = st.integers(0, 4).flatmap(
    lambda count: st.lists(st.lists(NAMES, min_size=count, max_size=count), min_size=1, max_size=3)
)


@given(CANDIDATES)
def test_things_are_always_told_apart(candidates: list[list[str]]) -> None:
    names = tell_apart(candidates)
    assert len(set(names)) == len(names) == len(candidates[0])


@given(CANDIDATES)
def test_names_that_differ_already_stay_as_they_are(candidates: list[list[str]]) -> None:
    names = tell_apart(candidates)
    assert tell_apart([names, *candidates]) == names
    if len(set(candidates[0])) == len(candidates[0]):
        assert names == candidates[0]


@given(CANDIDATES)
def test_numbers_come_only_where_no_list_of_names_tells_all_apart(candidates: list[list[str]]) -> None:
    distinct = [names for names in candidates if len(set(names)) == len(names)]
    assert tell_apart(candidates) == (distinct[0] if distinct else numbered(candidates[-1]))


def test_what_tells_runs_apart_is_kept_before_a_number() -> None:
    networks, folders = ["resnet20"] * 3, ["sgd", "adam", "40_epochs"]
    assert tell_apart([networks, folders]) == folders
    assert tell_apart([networks]) == ["1-resnet20", "2-resnet20", "3-resnet20"]


def test_names_that_a_disk_may_take_for_one_do_not_tell_apart() -> None:
    assert tell_apart([["Net", "net"], ["runs-a", "runs-b"]]) == ["runs-a", "runs-b"]
    assert tell_apart([["café", "cafe\u0301"]]) == ["1-café", "2-cafe\u0301"]


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(lambda parts: Path(*parts)), unique=True))
def test_the_ends_of_paths_tell_them_apart_and_are_as_short_as_that_allows(paths: list[Path]) -> None:
    tails = path_tails(paths)
    assert len(set(tails)) == len(paths)
    for path, tail in zip(paths, tails, strict=True):
        length = tail.count("/") + 1
        assert path.parts[-length:] == tuple(tail.split("/"))
        shorter = path.parts[1 - length :]
        assert length == 1 or any(other != path and other.parts[1 - length :] == shorter for other in paths)


def test_the_root_is_no_part_of_a_paths_end() -> None:
    assert path_tails([Path("/x.png"), Path("/album/x.png"), Path("y.png")]) == ["x.png", "album/x.png", "y.png"]


def test_a_class_is_called_by_its_label_and_of_two_with_one_label_the_first_is_not_it() -> None:
    assert [class_label(["cat", "dog", "owl"], index) for index in (0, 2, 3, -1)] == ["cat", "owl", None, None]
    assert [class_label(["dog"], index) for index in (0, 1, 2)] == ["not dog", "dog", None]
    assert class_label(None, 0) is None


@pytest.mark.parametrize(
    ("paths", "parts"),
    [
        (("a/sgd/ep0", "a/sgd/ep3", "a/adam/ep5"), ["sgd/ep0", "sgd/ep3", "adam/ep5"]),
        (("a/sgd/run/surface", "a/adam/run/surface"), ["sgd", "adam"]),
        (("a/sgd/run/ep0", "a/adam/run/ep3"), ["sgd/ep0", "adam/ep3"]),
        (("a/x/y/model", "a/z/model"), ["x/y", "z"]),
        (("a/b", "a/b/best"), ["b", "best"]),
        (("a/b", "a/b"), ["b", "b"]),
        (("a/b",), ["b"]),
        ((), []),
        ((f"a/{'long' * 9}/sgd/x", "b/x/adam/x"), ["sgd", "adam"]),
    ],
)
def test_what_paths_do_not_share_tells_them_apart(paths: tuple[str, ...], parts: list[str]) -> None:
    assert telling_parts([Path(path) for path in paths]) == parts


@given(
    st.lists(
        st.lists(st.sampled_from("abc"), min_size=3, max_size=3).map(lambda parts: Path(*parts)),
        unique=True,
        min_size=2,
    )
)
def test_paths_of_one_depth_are_always_told_apart(paths: list[Path]) -> None:
    assert len(set(telling_parts(paths))) == len(paths)
