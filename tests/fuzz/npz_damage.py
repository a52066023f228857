"""Damage that a zip archive itself finds right: members that are gone, lie about themselves, inflate or run code."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np

from tests.fuzz.canary import armed_array
from tests.fuzz.json_damage import damage_json, hostile_text

__all__ = ["damage_npz"]

Members = list[tuple[str, bytes]]

_META = "meta.npy"
_BOMB_MIB = 3072


def damage_npz(path: Path, random: Random, canary: Path) -> str:
    """Change one or two members of an archive, and write it anew with right checksums.

    Args:
        path: A valid `.npz`, which is changed.
        random: Chooses how and where.
        canary: The file that code would leave.

    Returns:
        How it was made.
    """
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    if random.random() < 0.06:
        path.write_bytes(_bomb(random.choice(members)[0]))
        return "bomb"
    names = []
    for _ in range(random.choice((1, 1, 2))):
        way = random.choice(_WAYS)
        try:
            members = way(members, random) if way is not _armed else _with_pickle(members, random, canary)
            names.append(way.__name__.strip("_"))
        except Exception:  # what was damaged before cannot always be damaged again
            names.append("none")
    compression = random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_LZMA))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    path.write_bytes(file.getvalue())
    return "+".join(names)


def _changed(members: Members, random: Random, change: Callable[[str, bytes], list[tuple[str, bytes]]]) -> Members:
    """Put what `change` makes of a member in its place."""
    if not members:
        return members
    number = random.randrange(len(members))
    return [*members[:number], *change(*members[number]), *members[number + 1 :]]


def _dropped(members: Members, random: Random) -> Members:
    return _changed(members, random, lambda name, content: [])


def _renamed(members: Members, random: Random) -> Members:
    ways = ("/etc/passwd.npy", "../up.npy", "extra.npy", "no_ending", ".npy", "a/b.npy", "file.npy", "é.npy")
    new = random.choice((*ways, hostile_text(random)[:200].replace("\0", "") + ".npy"))
    return _changed(members, random, lambda name, content: [(new, content)])


def _added(members: Members, random: Random) -> Members:
    many = 3000 if random.random() < 0.1 else 1
    return [*members, *((f"extra{number}.npy", _stored(np.arange(3))) for number in range(many))]


def _header(members: Members, random: Random) -> Members:
    """A header that says something else than the numbers behind it."""

    def lying(name: str, content: bytes) -> Members:
        if not content.startswith(b"\x93NUMPY"):
            return [(name, content)]
        length = struct.unpack("<H", content[8:10])[0]
        header = content[10 : 10 + length].decode("latin-1")
        old, new = random.choice(
            (
                ("'shape': (", "'shape': (1099511627776, "), ("'shape': (", "'shape': (0, "),
                ("'shape': (", "'shape': (-1, "),
                ("'shape': (", "'shape': (1, "), ("'fortran_order': False", "'fortran_order': True"), ("'<f", "'>f"),
                ("'<i8'", "'<u8'"),
                ("'<f4'", "'<i4'"), ("'<f", "'|O"), ("'descr'", "'other'"), ("}", ", 'more': 1}"),
                ("{", "__import__('os').getcwd() or {"),
                ("'shape'", "'shape': (3,), 'shape'"), ("(", "(" * 300), ("'<f8'", "'|V8'"), ("'<U", "'|S"),
                ("'<U", "'<U9999"),
            )
        )  # fmt: skip
        return [(name, _headed(header.replace(old, new, 1).rstrip() + "\n", content[10 + length :]))]

    return _changed(members, random, lying)


def _version(members: Members, random: Random) -> Members:
    return _changed(
        members,
        random,
        lambda name, content: [(name, content[:6] + bytes([random.choice((0, 2, 3, 9)), 0]) + content[8:])],
    )


def _cut(members: Members, random: Random) -> Members:
    return _changed(members, random, lambda name, content: [(name, content[: random.randrange(len(content) + 1)])])


def _values(members: Members, random: Random) -> Members:
    """Other arrays in a member's place."""
    made = random.choice(
        (
            np.zeros(0), np.array(1.5), np.arange(6), np.full((2, 2), np.nan), np.zeros((2, 3, 4, 5), np.float32),
            np.array("text"),
            np.array([True]), np.array(["a", "b"]), np.zeros(2, [("a", "f4")]), np.zeros(2, complex), np.array(b"\xff"),
        )
    )  # fmt: skip
    return _changed(members, random, lambda name, content: [(name, _stored(made))])


def _retyped(members: Members, random: Random) -> Members:
    def cast(name: str, content: bytes) -> Members:
        values = np.load(io.BytesIO(content))
        return [(name, _stored(values.astype(random.choice(("f2", "f8", ">f8", "i4", "i8", "u1", "c8", "U8")))))]

    with np.errstate(all="ignore"):
        return _changed(members, random, cast)


def _meta(members: Members, random: Random) -> Members:
    """What the provenance says."""

    def other(content: bytes) -> bytes:
        text = str(np.load(io.BytesIO(content)))
        return _stored(np.array(damage_json(text, random)[0]))

    return [(name, other(content) if name == _META else content) for name, content in members]


def _twice(members: Members, random: Random) -> Members:
    """Two members of one name, of which readers may take either."""
    return _changed(members, random, lambda name, content: [(name, content), (name, _stored(np.arange(4)))])


def _armed(members: Members, random: Random) -> Members:
    return members


def _with_pickle(members: Members, random: Random, canary: Path) -> Members:
    return _changed(members, random, lambda name, content: [(name, armed_array(canary, random))])


def _stored(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, values, allow_pickle=False)
    return file.getvalue()


def _headed(header: str, content: bytes) -> bytes:
    encoded = header.encode("latin-1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(encoded)) + encoded + content


def _bomb(name: str) -> bytes:
    """A member that inflates to GiB; written by hand, as no library takes compressed bytes."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    header = _headed(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({_BOMB_MIB * 2**20},), }}\n", b"")
    start = squeeze.compress(header) + squeeze.flush(zlib.Z_FULL_FLUSH)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = squeeze.compress(bytes(2**20)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    packed = start + one * _BOMB_MIB + zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    size = min(len(header) + _BOMB_MIB * 2**20, 2**32 - 2)
    told = struct.pack("<HHHHHIII", 20, 0, 8, 0, 0x21, 0, len(packed), size) + struct.pack("<H", len(name))
    local = b"PK\3\4" + told + b"\0\0" + name.encode()
    central = b"PK\1\2" + struct.pack("<H", 20) + told + struct.pack("<HHHHII", 0, 0, 0, 0, 0, 0) + name.encode()
    place = len(local) + len(packed)
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), place, 0)
    return local + packed + central + end


_WAYS: tuple[Callable[[Members, Random], Members], ...] = (
    _dropped, _renamed, _added, _header, _header, _version, _cut, _values, _retyped, _meta, _meta, _meta, _twice,
    _armed,
)  # fmt: skip
