"""What the one reader of HDF5 files refuses, by kind, and what it takes."""

import re
import resource
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t

from gradscape._hdf5 import CHECKSUMS, Hdf5Group, open_hdf5, save_hdf5
from gradscape._hdf5_storage import held_bytes

VALUES = np.arange(6.0).reshape(2, 3)
EVERY_KIND = {"old": {}, "new": {"libver": "latest"}, "behind a block": {"userblock_size": 512}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.h5"


def _read(path: Path, name: str = "x") -> np.ndarray:
    with open_hdf5(path, "file") as file:
        return file.array(name)


def _refused(path: Path, said: str, ask: Callable[[Hdf5Group], object]) -> None:
    with pytest.raises(ValueError, match=said) as caught, open_hdf5(path, "file") as file:
        ask(file)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "bring a whole copy" in message
    assert len(message) < 1000
    assert "\n" not in message


def _link(file: h5py.File) -> None:
    with h5py.File(Path(file.filename).with_name("b.h5"), "w") as other:
        other["x"] = VALUES
    file["x"] = h5py.ExternalLink("b.h5", "/x")


def _soft_through_another(file: h5py.File) -> None:
    with h5py.File(Path(file.filename).with_name("b.h5"), "w") as other:
        other["g/x"] = VALUES
    file["other"] = h5py.ExternalLink("b.h5", "/g")
    file["x"] = h5py.SoftLink("/other/x")


def _circle(file: h5py.File) -> None:
    file["x"], file["y"] = h5py.SoftLink("y"), h5py.SoftLink("x")


def _branching_circle(file: h5py.File) -> None:
    group = file.create_group("g")
    group["up"] = group
    file["x"] = h5py.SoftLink("/".join(["g"] + ["up"] * 500))


def _elsewhere(file: h5py.File) -> None:
    place = Path(file.filename).with_name("raw")
    place.write_bytes(VALUES.tobytes())
    file.create_dataset("x", VALUES.shape, "f8", external=[(str(place), 0, h5py.h5f.UNLIMITED)])


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((2, 3), "f8")
    layout[...] = h5py.VirtualSource("b.h5", "x", (2, 3))
    file.create_virtual_dataset("x", layout)


def _never_written(file: h5py.File) -> None:
    file.create_dataset("x", (2**20, 2**20), "f8")


def _never_written_chunks(file: h5py.File) -> None:
    file.create_dataset("x", (2**20, 2**10), "f8", chunks=(1, 2**10), compression="gzip")[0] = 1


def _bomb(file: h5py.File) -> None:
    file.create_dataset("x", (8, 2**22), "f8", chunks=(1, 2**22), compression="gzip")
    packed = zlib.compress(bytes(8 * 2**22))
    for number in range(8):
        file["x"].id.write_direct_chunk((number, 0), packed)


def _unknown_filter(file: h5py.File) -> None:
    making = h5p.create(h5p.DATASET_CREATE)
    making.set_chunk((2, 3))
    making.set_filter(h5py.h5z.FILTER_SCALEOFFSET, h5py.h5z.FLAG_OPTIONAL, (2, 0))
    h5d.create(file.id, b"x", h5t.STD_I64LE, h5s.create_simple((2, 3)), making)


def _odd_numbers(file: h5py.File) -> None:
    kind = h5t.IEEE_F64LE.copy()
    kind.set_ebias(1000)
    h5d.create(file.id, b"x", kind, h5s.create_simple((2, 3)))


def _put(value: object) -> Callable[[h5py.File], None]:
    return lambda file: file.__setitem__("x", value)


FAULTS = {
    "nothing": (lambda file: None, "`x` is missing"),
    "group": (lambda file: file.create_group("x"), "`x` must be a dataset"),
    "type": (_put(np.dtype("f8")), "`x` must be a dataset"),
    "text": (_put("text"), "`x` must be numbers"),
    "texts": (_put(np.array([b"a", b"b"])), "`x` must be numbers"),
    "truths": (_put(np.array([True])), "`x` must be numbers"),
    "lists": (lambda file: file.create_dataset("x", (1,), h5py.vlen_dtype("f8")), "`x` must be numbers"),
    "references": (lambda file: file.create_dataset("x", (1,), h5py.ref_dtype), "`x` must be numbers"),
    "records": (_put(np.zeros(2, "f8,i4")), r"`x` must be numbers, but is \[\('f0'"),
    "no shape": (_put(h5py.Empty("f8")), "`x` must have 2 axes, but has None"),
    "odd numbers": (_odd_numbers, "`x` has numbers in a form of its own|`x`: "),
    "link": (_link, "`x` is a link to another file"),
    "soft link through another": (_soft_through_another, "`x` is a link to another file"),
    "circle": (_circle, "`x` is a link that ends nowhere"),
    "branching circle": (_branching_circle, "`x` is a link that ends nowhere"),
    "elsewhere": (_elsewhere, "`x` lies in other files"),
    "virtual": (_virtual, "`x` lies in other files"),
    "never written": (_never_written, "`x` must have 8,796,093,022,208 bytes, but the file holds 0 of it"),
    "never written chunks": (
        _never_written_chunks,
        "`x` must have 8,589,934,592 bytes, but the file holds [0-9]+ of it",
    ),
    "bomb": (_bomb, "`x` unpacks to 268,435,456 bytes, of which at most 134,217,728 are read"),
    "filter": (_unknown_filter, "`x` is packed by filter 6: unpack it by h5repack"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_array_of_the_file_is_refused_before_it_is_read(path: Path, fault: str) -> None:
    make, said = FAULTS[fault]
    with h5py.File(path, "w") as file:
        make(file)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _refused(path, said, lambda file: file.array("x", axes=2))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_arrays_in_every_form_that_h5py_writes_are_read(path: Path, kind: str) -> None:
    forms = {
        "plain": {},
        "compact": {"dcpl": _compact()},
        "packed": {"compression": "gzip", "shuffle": True, "fletcher32": True},
        "fast": {"compression": "lzf", "chunks": (1, 3)},
        "chunked": {"chunks": (2, 2), "maxshape": (None, 3)},
    }
    with h5py.File(path, "w", **EVERY_KIND[kind]) as file:  # type: ignore[arg-type]
        for form, options in forms.items():
            for dtype in ("<f8", ">f4", "f2", "<i8", ">i2", "u1"):
                file.create_dataset(f"{form}/{dtype}", data=VALUES.astype(dtype), **options)
        file["none"] = np.zeros((0, 4))
        file["here"] = h5py.SoftLink("/plain/f2")
        file["plain/there"] = h5py.SoftLink("f2")
    with open_hdf5(path, "file") as read:
        for form in forms:
            for name in read.group(form).names():
                values = read.group(form).array(name, shape=(2, 3))
                np.testing.assert_array_equal(values, VALUES)
        np.testing.assert_array_equal(read.array("here"), VALUES)
        assert read.array("none").shape == (0, 4)


def _compact() -> h5p.PropDCID:
    making = h5p.create(h5p.DATASET_CREATE)
    making.set_layout(h5d.COMPACT)
    return making


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("length", [0, 1, 8, 3000, 100_000])
def test_texts_are_read_as_h5py_reads_them(path: Path, kind: str, length: int) -> None:
    with h5py.File(path, "w", **EVERY_KIND[kind]) as file:  # type: ignore[arg-type]
        attributes = file.create_group("g").attrs
        attributes["first"], attributes["long"], attributes["number"] = "x", "é" * length, 7
        attributes["short"] = np.bytes_(b"abc")
    with open_hdf5(path, "file") as read:
        group = read.group("g")
        texts = [group.text(name) for name in ("first", "long", "short")]
        assert texts == ["x", "é" * length, "abc"]
        assert group.whole("number") == 7


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "`g/a` must be one text"),
        (["a", "b"], "`g/a` must be one text"),
        (np.bytes_(b"\xff\xfe"), "`g/a`: 'utf-8' codec can't decode"),
        (h5py.Empty("f8"), "`g/a` must be one text"),
        (None, "`g/a` is missing"),
    ],
)
def test_an_attribute_that_is_no_text_is_refused(path: Path, value: object, said: str) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("g").attrs["b"] = 1
        if value is not None:
            file["g"].attrs["a"] = value
    _refused(path, said, lambda file: file.group("g").text("a"))


@pytest.mark.parametrize("value", ["3", 3.0, [3], -3, 2**60, h5py.Empty("i8")])
def test_an_attribute_that_is_no_count_is_refused(path: Path, value: object) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("g").attrs["a"] = value
    _refused(path, "`g/a` must be ", lambda file: file.group("g").whole("a"))


def _heap(content: bytearray) -> int:
    return content.index(b"GCOL")


def _endless(content: bytearray) -> None:
    content[_heap(content) + 16 : _heap(content) + 32] = bytes(16)


def _backwards(content: bytearray) -> None:
    content[_heap(content) + 24 : _heap(content) + 32] = struct.pack("<Q", 2**64 - 24)


def _four_gigabytes(content: bytearray) -> None:
    descriptor = struct.pack("<IQI", 3000, _heap(content), 1)
    place = content.index(descriptor)
    content[place : place + 4] = b"\xff\xff\xff\xf0"


def _huge_heap(content: bytearray) -> None:
    content[_heap(content) + 8 : _heap(content) + 16] = struct.pack("<Q", 2**40)


@pytest.mark.parametrize("damage", [_endless, _backwards, _huge_heap])
def test_a_heap_in_which_libhdf5_walks_for_ever_is_refused(path: Path, damage: Callable[[bytearray], None]) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["a"] = "x" * 3000
    content = bytearray(path.read_bytes())
    damage(content)
    path.write_bytes(content)
    _refused(path, "`a` is not where the file says", lambda file: file.text("a"))


def test_no_more_is_allocated_than_a_text_has(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["a"] = "x" * 3000
    content = bytearray(path.read_bytes())
    _four_gigabytes(content)
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open_hdf5(path, "file") as file:
        assert file.text("a") == "x" * 3000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_a_file_that_was_never_filled_is_refused(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(2011.0)
    content = path.read_bytes()
    for number, larger in ((2011, 2**37), (8 * 2011, 2**40), (len(content), 2**41)):
        content = content.replace(struct.pack("<Q", number), struct.pack("<Q", larger))
    path.write_bytes(content)
    with path.open("r+b") as grown:
        grown.truncate(2**41)  # of which the disk has a few KiB
    with h5py.File(path, "r") as read:
        assert read["x"].shape == (2**37,)
    _refused(
        path,
        "`x` must have 1,099,511,627,776 bytes, but the file holds [0-9,]{5,7} of it",
        lambda file: file.array("x"),
    )


def test_a_disk_that_packs_or_has_not_counted_yet_is_no_reason_to_refuse_a_file(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"1")
        file.truncate(2**26)  # as a disk tells it of 64 MiB that are nearly all zeros
    assert held_bytes(path) == 2**26
    with path.open("r+b") as file:
        file.truncate(2**41)
    assert held_bytes(path) < 2**20


def test_what_was_written_is_read_and_a_changed_bit_is_told(path: Path) -> None:
    save_hdf5(path, {"x": VALUES, "d": [VALUES, VALUES[0]]}, {"d/meta": "{}", "d/number": 5})
    whole = path.read_bytes()
    with h5py.File(path) as plain:
        assert plain["d/1"].shape == (3,)
        assert plain["d"].attrs["meta"] == b"{}"
    with open_hdf5(path, "file") as file:
        np.testing.assert_array_equal(file.array("x"), VALUES)
        assert [part.shape for part in file.arrays("d")] == [(2, 3), (3,)]
        assert (file.group("d").text("meta"), file.group("d").whole("number")) == ("{}", 5)
    places = [found.start() for found in re.finditer(re.escape(VALUES[0].tobytes()), whole)]
    assert len(places) == 3
    for place in places:
        path.write_bytes(whole[: place + 9] + bytes([whole[place + 9] ^ 1]) + whole[place + 10 :])
        message = f"is not what was written; whoever changed it on purpose removes the attribute {CHECKSUMS}"
        _refused(path, message, lambda file: (file.array("x"), file.arrays("d")))
    path.write_bytes(whole)
    with h5py.File(path, "r+") as changed:
        changed["d"].attrs["number"] = 6
    _refused(path, "`d/number` is not what was written", lambda file: file.group("d").whole("number"))


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 20_000])
def test_damaged_checksums_are_told(path: Path, text: str) -> None:
    save_hdf5(path, {"x": VALUES})
    with h5py.File(path, "r+") as file:
        file.attrs[CHECKSUMS] = text
    _refused(path, CHECKSUMS, lambda file: file.array("x"))


def test_a_group_whose_names_are_gone_is_told(path: Path) -> None:
    save_hdf5(path, {"g/x": VALUES, "g/y": VALUES})
    content = path.read_bytes()
    for sign in (b"TREE", b"SNOD", b"HEAP"):
        path.write_bytes(content.replace(sign, b"none"))
        with pytest.raises(ValueError, match=r"a.h5 is a damaged (or cut off )?HDF5 file: "):
            _read_names(path)


def _read_names(path: Path) -> None:
    with open_hdf5(path, "file") as file:
        file.group("g").names()
        file.group("g").array("x")
