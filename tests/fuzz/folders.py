"""Folders that a report is written of: results, damaged ones, and what has no business there, under any name."""

import os
import shutil
import socket
from pathlib import Path
from random import Random

from tests.fuzz.attempt import Input
from tests.fuzz.bytes_damage import damage_bytes
from tests.fuzz.originals import CANARY, KEPT, Original, damaged
from tests.fuzz.plain_readers import Numbers
from tests.fuzz.text_damage import damage_table

__all__ = ["damaged_folder"]

_SHOWN = "kept_network-small_net"
_NAMES = (
    "<img src=x onerror=alert(1)>", "a\nb", "\x1b[31mred", "..hidden", " ", "%s%n", "é\u202egpj", "[bold]", "a" * 200,
    "'\"&", "-rf", "{{7*7}}",
    b"\xff\xfe".decode("utf-8", "surrogateescape"),
)  # fmt: skip


def damaged_folder(originals: list[Original], random: Random, place: Path) -> Input:
    """A folder with a valid surface, some damaged results, and something strange.

    Args:
        originals: Files of every kind.
        random: Chooses.
        place: An empty folder.
    """
    folder, page, canary = place / "run", place / "report.html", place / CANARY
    folder.mkdir()
    shutil.copy(KEPT / "surface.h5", folder)
    told = []
    for number in range(random.choice((1, 1, 2, 3))):
        made = place / f"made{number}"
        made.mkdir()
        one = damaged(originals, random, made)
        path = next(file for file in sorted(made.iterdir()) if file.name != CANARY)
        stem = random.choice((path.stem, path.stem, f"{random.choice(_NAMES)}{number}"))
        below = folder / random.choice((".", ".", f"sub{number}", f"{random.choice(_NAMES)}{number}"))
        below.mkdir(exist_ok=True)
        shutil.move(path, below / f"{stem}{path.suffix}")
        told.append(one.how)
    if random.random() < 0.5:
        told.append(_strange(folder, random))

    def read() -> Numbers:
        text = page.read_text(encoding="utf-8")
        alive = "<img src=x" in text or "<script>alert(1)" in text or "Traceback" in text
        return {"shown": _SHOWN in text or "kept_network:small_net" in text, "alive": alive}

    command = ("report", str(folder), "-o", str(page), "-q")
    expected = {"shown": True, "alive": False}
    return Input("; ".join(told), read, expected, command=command, named=("RUN_DIR", str(folder)), canary=canary)


def _strange(folder: Path, random: Random) -> str:
    """Put something that is no regular file, or no file of its name, into a folder."""
    ending = random.choice((".h5", ".npz", ".safetensors", ".csv", ".json"))
    path = folder / f"strange{ending}"
    way = random.choice(("pipe", "socket", "loop", "dangling", "device", "folder", "empty", "other", "table", "bytes"))
    if way == "pipe":
        os.mkfifo(path)
    elif way == "socket":
        where = os.getcwd()
        os.chdir(folder)  # as a socket's path must be short
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
        os.chdir(where)
    elif way == "loop":
        path.symlink_to(folder, target_is_directory=True)
    elif way == "dangling":
        path.symlink_to("absent")
    elif way == "device":
        path.symlink_to(random.choice(("/dev/zero", "/dev/random", "/proc/self/mem", "/dev/tty")))
    elif way == "folder":
        path.mkdir()
    elif way == "empty":
        path.touch()
    elif way == "other":
        shutil.copy(random.choice(sorted(KEPT.glob("*.*"))), path)
    elif way == "table":
        name = random.choice(("cam.csv", "metrics.csv"))
        text, how = damage_table((KEPT / name).read_text(encoding="utf-8"), random)
        (folder / name).write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
        way = f"{name}: {how}"
    else:
        path.write_bytes(damage_bytes(random.randbytes(200), random)[0])
    return f"{way} as {path.name}"
