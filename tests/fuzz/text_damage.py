"""Damage to text: tables, lists of names, and what is typed on the command line."""

import csv
import io
from collections.abc import Sequence
from random import Random

from tests.fuzz.json_damage import hostile_text

__all__ = ["damage_list", "damage_table", "damage_words"]


_MOST_CHARACTERS = 10**6  # of a row


def damage_table(text: str, random: Random) -> tuple[str, str]:
    """Change cells, rows or columns of a csv table.

    Args:
        text: The table.
        random: Chooses.

    Returns:
        The table, and how it was made.
    """
    rows = list(csv.reader(io.StringIO(text)))
    names = []
    for _ in range(random.choice((1, 1, 2, 3))):
        way = random.choice(
            ("cell", "cell", "heading", "row less", "row more", "short row", "long row", "column", "twice", "many")
        )
        rows = _changed(rows, way, random)
        names.append(way)
    file = io.StringIO()
    ending = random.choice(("\n", "\n", "\r\n", "\r"))
    csv.writer(file, delimiter=random.choice(",,,,;\t"), lineterminator=ending).writerows(rows)
    return file.getvalue(), "+".join(names)


def _changed(rows: list[list[str]], way: str, random: Random) -> list[list[str]]:
    rows = [list(row) for row in rows] or [[""]]
    number = random.randrange(len(rows))
    row = rows[number]
    if way == "cell" and row:
        row[random.randrange(len(row))] = _cell(random)
    elif way == "heading" and rows[0]:
        rows[0][random.randrange(len(rows[0]))] = random.choice(("", "epoch", rows[0][0], hostile_text(random)))
    elif way == "row less":
        del rows[number]
    elif way == "row more":
        rows.insert(number, [_cell(random) for _ in row])
    elif way == "short row":
        rows[number] = row[:-1]
    elif way == "long row":
        rows[number] = [*row, _cell(random)]
    elif way == "column":
        rows = [one[1:] for one in rows]
    elif way == "twice":
        rows = rows + rows
    elif way == "many":
        rows[number] = row * min(random.choice((2, 500)), 1 + _MOST_CHARACTERS // (1 + sum(map(len, row))))
    return rows


def _cell(random: Random) -> str:
    numbers = (
        "",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "1e-400",
        "-1",
        "0",
        "0.5",
        "1,5",
        "1_0",
        " 1 ",
        "0x1",
        "9" * 5000,
        "x" * 200_000,
    )
    return random.choice((*numbers, hostile_text(random), str(random.uniform(-10, 10))))


def damage_list(text: str, random: Random) -> tuple[str, str]:
    """Change lines of a list of names; as `damage_table`."""
    lines = text.splitlines()
    way = random.choice(("less", "more", "twice", "empty", "hostile", "none", "long", "ending"))
    number = random.randrange(len(lines))
    if way == "less":
        del lines[number]
    elif way == "none":
        lines = []
    else:
        more = {"twice": lines[number], "empty": "", "hostile": hostile_text(random), "long": "n" * 100_000}.get(
            way, "more"
        )
        lines.insert(number, more)
    return random.choice(("\n", "\r\n", "\r", "\u2028") if way == "ending" else ("\n",)).join(lines), way


def damage_words(text: str, words: Sequence[str], random: Random) -> str:
    """Change what is typed: characters, and words of its grammar that stand where they do not belong.

    Args:
        text: Something that is right.
        words: What its grammar knows.
        random: Chooses.
    """
    for _ in range(random.choice((1, 1, 2, 3))):
        place = random.randrange(len(text) + 1)
        stop = min(len(text), place + random.choice((0, 0, 1, 2, 5)))
        new = random.choice(
            (random.choice(words), random.choice(words), _typed(random), hostile_text(random)[:300], "")
        )
        text = text[:place] + new + text[stop:]
    return text


def _typed(random: Random) -> str:
    return random.choice(
        (
            "0",
            "1",
            "-1",
            "-",
            "+",
            ":",
            ",",
            ",,",
            "@",
            "=",
            "/",
            "//",
            ".",
            "e",
            " ",
            "\t",
            "1e9",
            "1e400",
            "9" * 19,
            "*",
            "[",
        )
    )
