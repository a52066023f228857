"""Damage that HDF5 itself finds right: objects that are gone, of another kind, huge, or lie elsewhere."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np

from tests.fuzz.json_damage import damage_json, hostile_text

__all__ = ["damage_hdf5"]

_GIANT = 2**40


def damage_hdf5(path: Path, random: Random) -> str:
    """Change one or two objects or attributes of a file.

    Args:
        path: A valid file, which is changed.
        random: Chooses how and where.

    Returns:
        How it was made.
    """
    names = []
    for _ in range(random.choice((1, 1, 1, 2))):
        try:
            with h5py.File(path, "r+") as file:
                names.append((_change_attribute if random.random() < 0.3 else _change_object)(file, random))
        except Exception:  # what was damaged before cannot always be damaged again
            names.append("none")
    return "+".join(names)


def _change_object(file: h5py.File, random: Random) -> str:
    places: list[str] = []
    file.visit(places.append)
    if not places:
        return "nothing left"
    place = random.choice(sorted(places))
    way = random.choice(_WAYS)
    way(file, place, random)
    return f"{way.__name__.strip('_')} of {place}"


def _change_attribute(file: h5py.File, random: Random) -> str:
    owners = [file, *(file[name] for name in ("gradscape",) if isinstance(file.get(name), h5py.Group))]
    owner = random.choice(owners)
    names = sorted(owner.attrs)
    name = random.choice(names or ["format"])
    if name == "meta" and isinstance(owner.attrs.get("meta"), str) and random.random() < 0.6:
        owner.attrs["meta"], how = damage_json(owner.attrs["meta"], random)[0][:60_000], "meta"
        return how
    if name in names and random.random() < 0.3:
        del owner.attrs[name]
        return f"no attribute {name}"
    value = random.choice(
        (
            "text", b"bytes", 1, -1, 2**62, 1.5, np.nan, True, [1, 2], np.zeros((2, 2)), h5py.Empty("i8"),
            np.array(["a"], dtype=object), np.zeros(1, [("a", "i4")]), owner.ref, np.void(b"\0\1"),
            hostile_text(random)[:300].replace("\0", ""),
        )
    )  # fmt: skip
    owner.attrs[name] = h5py.Empty("S1") if isinstance(value, str) and not value else value
    return f"attribute {name}"


def _deleted(file: h5py.File, place: str, random: Random) -> None:
    del file[place]


def _renamed(file: h5py.File, place: str, random: Random) -> None:
    file.move(place, place + random.choice(("x", "é", " ")))


def _value(file: h5py.File, place: str, random: Random) -> None:
    """Some of the numbers, as another program may write them."""
    values = file[place][()]
    flat = np.ravel(values).copy()
    flat[random.randrange(flat.size)] = random.choice((-1, 0, 1e6, 2**40))
    file[place][()] = flat.reshape(np.shape(values))


def _retyped(file: h5py.File, place: str, random: Random) -> None:
    shape = np.shape(file[place][()])
    numbers = np.nan_to_num(np.asarray(file[place][()], dtype=float))
    _put(file, place, numbers.astype(random.choice(("f2", "f4", ">f8", "i1", "u8", "c16", "?"))).reshape(shape))


def _replaced(file: h5py.File, place: str, random: Random) -> None:
    made: Any = random.choice(
        (
            "text", 1, 1.5, b"\0", h5py.Empty("f8"), np.zeros(0), np.zeros((0, 3)), np.zeros((1, 1, 1, 1)),
            np.arange(3),
            np.zeros(2, [("a", "f8"), ("b", "i4")]), np.array([b"a", b"b"]), np.full((2, 2), np.nan), np.array([True]),
        )
    )  # fmt: skip
    _put(file, place, made)


def _text_objects(file: h5py.File, place: str, random: Random) -> None:
    del file[place]
    kinds = (h5py.string_dtype(), h5py.vlen_dtype(np.dtype("f8")), h5py.ref_dtype, h5py.enum_dtype({"a": 1}, "i4"))
    file.create_dataset(place, (random.choice((1, 5)),), dtype=random.choice(kinds))


def _group(file: h5py.File, place: str, random: Random) -> None:
    del file[place]
    file.create_group(place)


def _named_type(file: h5py.File, place: str, random: Random) -> None:
    del file[place]
    file[place] = np.dtype("f8")


def _reshaped(file: h5py.File, place: str, random: Random) -> None:
    values = file[place][()]
    ways = (
        values.T,
        values.ravel(),
        values[None],
        values[..., None],
        values[..., :-1],
        np.concatenate([values, values]),
    )
    _put(file, place, random.choice(ways))


def _giant(file: h5py.File, place: str, random: Random) -> None:
    """A size that is declared and of which nothing is stored."""
    shape = np.shape(file[place])
    wanted = random.choice(((_GIANT,), (*shape[:-1], _GIANT), (_GIANT, *shape[1:]), (2**16,) * max(1, len(shape))))
    del file[place]
    file.create_dataset(place, wanted, dtype="f8", chunks=(1,) * len(wanted), fillvalue=random.choice((None, 1.0)))


def _bomb(file: h5py.File, place: str, random: Random) -> None:
    """Some MiB that are stored as some kB, and that no axis asks for."""
    del file[place]
    file.create_dataset(place, data=np.zeros(2**20), compression="gzip", chunks=(2**18,))


def _compressed(file: h5py.File, place: str, random: Random) -> None:
    """The same numbers, stored in another way: still a valid file."""
    values = file[place][()]
    del file[place]
    file.create_dataset(place, data=values, compression="gzip", shuffle=True, fletcher32=random.random() < 0.5)


def _linked(file: h5py.File, place: str, random: Random) -> None:
    """The way to another place, within the file, to another one, to itself or to nowhere."""
    del file[place]
    elsewhere = str(Path(file.filename).with_name("elsewhere.h5"))
    links = (
        h5py.SoftLink("/xcoordinates"), h5py.SoftLink(f"/{place}"), h5py.SoftLink("/nowhere"), h5py.SoftLink(".."),
        h5py.ExternalLink(elsewhere, "/xcoordinates"), h5py.ExternalLink("/etc/passwd", "/"),
        h5py.ExternalLink("/dev/zero", "/"), h5py.ExternalLink("absent.h5", "/"),
    )  # fmt: skip
    file[place] = random.choice(links)


def _circle(file: h5py.File, place: str, random: Random) -> None:
    del file[place]
    file[place] = file["/"]


def _virtual(file: h5py.File, place: str, random: Random) -> None:
    shape = np.shape(file[place]) or (1,)
    del file[place]
    layout = h5py.VirtualLayout(shape=shape, dtype="f8")
    layout[...] = h5py.VirtualSource(random.choice(("elsewhere.h5", ".", "/dev/zero")), "xcoordinates", shape=shape)
    file.create_virtual_dataset(place, layout)


def _external(file: h5py.File, place: str, random: Random) -> None:
    shape = np.shape(file[place]) or (1,)
    del file[place]
    named = random.choice(("/etc/passwd", "/dev/zero", "absent.bin"))
    file.create_dataset(place, shape, dtype="f8", external=[(named, 0, h5py.h5f.UNLIMITED)])


def _put(file: h5py.File, place: str, value: Any) -> None:
    del file[place]
    file[place] = value


_WAYS: tuple[Callable[[h5py.File, str, Random], None], ...] = (
    _deleted, _renamed, _value, _retyped, _replaced, _text_objects, _group, _named_type, _reshaped, _giant, _bomb,
    _compressed,
    _linked, _linked, _circle, _virtual, _external,
)  # fmt: skip
