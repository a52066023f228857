"""Damage to what JSON holds: entries that are gone, of other types, huge, deep, twice, or no JSON at all."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

__all__ = ["damage_json", "hostile_text"]

_DEEP = 100_000


def damage_json(text: str, random: Random) -> tuple[str, str]:
    """Change one to three places of a JSON text.

    Args:
        text: Valid JSON.
        random: Chooses.

    Returns:
        The text, which may be no JSON any more, and how it was made.
    """
    value = json.loads(text)
    names = []
    for _ in range(random.choice((1, 1, 2, 3))):
        way = random.choice((_replace, _replace, _remove, _add, _rename))
        value = way(value, random)
        names.append(way.__name__.strip("_"))
    text = json.dumps(value)
    if random.random() < 0.15:
        text, name = _broken(text, random)
        names.append(name)
    return text, "+".join(names)


def hostile_text(random: Random) -> str:
    """A string that some program takes for something else."""
    return random.choice(
        (
            "", " ", "\n", "\0", "\x1b[31m", "nan", "inf", "-0", "1e999", "9" * 400, "0x10", "1_000", "٣", "²",
            "é\u0301", "\u202e",
            "\ufeff", "\U0001f600", "../../etc/passwd", "/dev/zero", "CON", "{0.__class__}", "%s%n", "${HOME}", "$(id)",
            "`id`", "<script>alert(1)</script>", "';--", "=1+1", "[bold]x[/bold]", "[/]", "a" * 5000, "null", "None",
            "true",
        )
    )  # fmt: skip


def _values(random: Random) -> Any:
    return random.choice(
        (
            None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 1e308, -1e-320, float("nan"), float("inf"), 0.5, "",
            "text", [],
            [1], [[]], [None], ["a", 1], {}, {"a": 1}, {"": {}}, [0] * 1000, hostile_text(random),
        )
    )  # fmt: skip


def _replace(value: Any, random: Random) -> Any:
    return _anywhere(value, random, lambda _: _values(random))


def _remove(value: Any, random: Random) -> Any:
    def without(found: Any) -> Any:
        if isinstance(found, dict) and found:
            gone = random.choice(list(found))
            return {key: one for key, one in found.items() if key != gone}
        return found[:-1] if isinstance(found, list | str) and found else _values(random)

    return _anywhere(value, random, without)


def _add(value: Any, random: Random) -> Any:
    def more(found: Any) -> Any:
        if isinstance(found, dict):
            return {**found, random.choice(("extra", "", "name", "__class__", hostile_text(random))): _values(random)}
        if isinstance(found, list):
            return [*found, *(found[:1] or [_values(random)])]
        return [found]

    return _anywhere(value, random, more)


def _rename(value: Any, random: Random) -> Any:
    def renamed(found: Any) -> Any:
        if not isinstance(found, dict) or not found:
            return _values(random)
        changed = random.choice(list(found))
        return {hostile_text(random) if key == changed else key: one for key, one in found.items()}

    return _anywhere(value, random, renamed)


def _anywhere(value: Any, random: Random, change: Callable[[Any], Any]) -> Any:
    """Change the value itself or, more often, something within it."""
    children = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not children or random.random() < 0.15:
        return change(value)
    chosen = random.choice(children)
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[chosen] = _anywhere(value[chosen], random, change)
    return copied


def _broken(text: str, random: Random) -> tuple[str, str]:
    place = random.randrange(len(text) + 1)
    return random.choice(
        (
            (text[:place], "cut"),
            (text[:place] + hostile_text(random) + text[place:], "inserted"),
            ("[" * _DEEP, "deep"),
            ('{"a":' * _DEEP + "1" + "}" * _DEEP, "deep objects"),
            ("[" + text + "]", "in a list"),
            (text + text, "twice"),
            (text[:-1] + ',"huge":' + "9" * 10_000 + "}", "huge number"),
            (text[:-1] + "," + text[1:], "every key twice"),
            ("7", "a number"),
            ("", "nothing"),
        )
    )
