import pytest

from gradscape._names import is_function_name, one_line, parse_options, unknown_name


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
    assert str(unknown_name("data", "xyz", ["cifar10"])) == "unknown `data` 'xyz'"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.b:c", True), ("a:B.c", True), ("a:", False), (":c", False), ("a/b:c", False), ("a:b:c", False), ("a", False)],
)
def test_function_names_are_told_from_others(name: str, *, expected: bool) -> None:
    assert is_function_name(name) == expected


def test_messages_become_one_short_line() -> None:
    assert one_line(ValueError("two\n  lines")) == "two lines"
    assert one_line(EOFError()) == "EOFError"
    assert len(one_line(ValueError("x" * 500))) == 201
