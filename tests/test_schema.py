"""Types of what comes from files."""

from typing import Any, Literal, NotRequired, TypedDict

import numpy as np
import pytest
from jaxtyping import Float, Integer

from gradscape._recorded import recorded
from gradscape._schema import check_arrays, check_record, fits, fitting


class _ToyEntry(TypedDict):
    names: list[str]
    count: int
    share: NotRequired[float | None]


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (3, int, True), (True, int, False), (3.0, int, False), (2**63, int, False), (10**400, float, False),
        (3, float, True), (True, float, False), (float("nan"), float, True), ("3", float, False),
        (None, int | None, True), ([1, 2], list[int], True), ([1, "a"], list[int], False), ("ab", list[str], False),
        ({"a": 1}, dict[str, int], True), ({"a": None}, dict[str, int], False), (3, Any, True),
        ("a", Literal["a", "b"], True), ([], Literal["a"], False), ({"names": [], "count": 1}, _ToyEntry, True),
    ],
    ids=str,
)  # fmt: skip
def test_values_fit_types_or_not(value: object, hint: Any, expected: bool) -> None:
    assert fits(value, hint) is expected


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (3, "must be a record of names, count, share, got 3"),
        ({"names": []}, "lacks count"),
        ({"names": "ab", "count": 1}, "`names` must be a list, each of them text, got 'ab'"),
        ({"names": [], "count": 1, "share": "x" * 5000}, "`share` must be a number or null, got 'x"),
        ({"names": [], "count": 1, "more": 2}, "holds 'more', which this version does not know"),
    ],
    ids=range(5),
)
def test_a_record_of_other_entries_is_refused_in_a_short_line(record: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        check_record(record, _ToyEntry)
    assert len(str(raised.value)) < 300
    check_record({"names": ["a"], "count": 1, "more": 2}, _ToyEntry, closed=False)


KINDS = {"maps": Float[np.ndarray, "images *sides"], "classes": Integer[np.ndarray, "images"]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"classes": None}, "lacks the array classes"),
        ({"more": np.zeros(2)}, "an array 'more'"),
        ({"classes": np.zeros(4, int)}, "`classes` must be Integer.*images.*got int64"),
        ({"classes": np.zeros(2)}, "`classes` must be Integer.*got float64"),
        ({"maps": np.zeros((2, 3), "U1")}, "`maps` must be Float"),
    ],
    ids=range(5),
)
def test_arrays_of_other_types_and_sides_are_refused(change: dict[str, Any], reason: str) -> None:
    arrays = {"maps": np.zeros((2, 3, 5)), "classes": np.zeros(2, int)}
    check_arrays(arrays, KINDS)
    with pytest.raises(ValueError, match=reason):
        check_arrays({name: array for name, array in {**arrays, **change}.items() if array is not None}, KINDS)


def test_an_entry_of_another_type_is_a_users_own() -> None:
    assert fitting({"plan": {"a": 1}}, "plan", dict) == {"a": 1}
    assert fitting({"plan": 3}, "plan", dict) is None
    assert fitting([], "plan", dict) is None
    kept = {"recipe": {"name": "upanets", "epochs": 3}, "data": "digits", "seed": 0, "mine": [1], "test": None}
    assert recorded(kept) == kept
    assert recorded({"recipe": "fast", "seed": [1], "data": {"name": 3}}) == {
        "own_recipe": "fast",
        "own_seed": [1],
        "own_data": {"name": 3},
    }
