"""Files of arrays that declare what they do not hold: refused in a line, before anything is allocated."""

import io
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gradscape._arrays import load_arrays, load_provenance, save_arrays
from gradscape._npz import list_npz, read_npz

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


def npy(text: str, data: bytes = VALUES.tobytes(), *, version: int = 1) -> bytes:
    """One array as NumPy writes it, under a header that says anything."""
    header = text.encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(header)) + header + data


def described(shape: str = "(2, 3)", kind: str = "'<f4'") -> str:
    return f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}"


def written(path: Path, content: bytes, *, packed: int = zipfile.ZIP_DEFLATED, times: int = 1) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", packed) as archive:
        warnings.simplefilter("ignore")  # of the second array of a name
        for _ in range(times):
            archive.writestr("x.npy", content)
    return path


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (npy(described("(8796093022208,)")), "`x` claims float32 (8796093022208,)"),
        (npy(described("(1099511627776, 1099511627776)")), "`x` claims float32"),
        (npy(described("(2, 2)")), "`x` claims float32 (2, 2), 16 bytes, and has 24"),
        (npy(described("(-2, -3)")), "not plain numbers"),
        (npy(described(kind="'|O'")), "objects of Python, which are not read"),
        (npy(described(kind="[('a', '<f4')]")), "not plain numbers"),
        (npy(described(kind="'<M8[s]'")), "not plain numbers"),
        (npy(described("(6,)", "'<U1'"), b"\xff" * 24), "no characters"),
        (npy("(" * 9000), "a header that cannot be read"),
        (npy("{'descr': '<f4'}"), "a header that cannot be read"),
        (npy(described(), version=3), "version (3, 0)"),
        (b"", "magic"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_a_header_that_the_file_does_not_bear_out_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = written(tmp_path / "a.npz", content)
    with pytest.raises(ValueError, match=re.escape(reason)) as raised:
        read_npz(path)
    assert str(path) in str(raised.value)
    assert len(str(raised.value)) < 1000


def inflated(content: bytes) -> bytes:
    """The same file with 4 GiB for the size of each array."""
    place = content.index(b"PK\x01\x02") + 24
    return content[:place] + struct.pack("<I", 2**32 - 2) + content[place + 4 :]


def encrypted(content: bytes) -> bytes:
    place = content.index(b"PK\x01\x02") + 8
    return content[:place] + b"\x01" + content[place + 1 :]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (inflated, "claims to hold 4,294,967,294"),
        (encrypted, "is encrypted"),
        (lambda content: content[: len(content) // 2], "zip file"),
        (lambda content: content[: content.index(b"PK\x01\x02")] + content[content.index(b"PK\x05\x06") :], "file"),
        (lambda content: b"", "zip file"),
    ],
)
def test_a_directory_that_the_file_does_not_bear_out_is_refused(
    tmp_path: Path, change: Callable[[bytes], bytes], reason: str
) -> None:
    path = written(tmp_path / "a.npz", npy(described()))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=reason):
        read_npz(path)


def test_arrays_of_one_name_and_strange_packing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two members of one name"):
        read_npz(written(tmp_path / "twice.npz", npy(described()), times=2))
    with pytest.raises(ValueError, match="packed in a way that is not read"):
        read_npz(written(tmp_path / "packed.npz", npy(described()), packed=zipfile.ZIP_LZMA))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_one_wrong_bit_anywhere_is_told_or_changes_nothing(tmp_path: Path, save: Callable[..., None]) -> None:
    path = tmp_path / "a.npz"
    save(path, values=VALUES)
    content = path.read_bytes()
    changed = 0
    for place in range(0, len(content), 2):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        try:
            found = read_npz(path)
        except ValueError:
            continue
        changed += 1
        assert list(found) in (["values"], []) or len(content) - place < 120  # a name is no number
        np.testing.assert_array_equal(found.get("values", VALUES), VALUES)
        assert found.get("values", VALUES).dtype == VALUES.dtype
    assert changed < len(content) / 4  # dates, versions and the like


@pytest.mark.parametrize(
    "array",
    [VALUES, np.asfortranarray(VALUES), VALUES.astype(">f8"), VALUES > 2, np.array(["a", "bcd"]), np.array(b"ab"),
     VALUES[:0], np.array(3), VALUES[:, ::2], np.array("", dtype="<U0"), VALUES.astype(np.float16)],
    ids=lambda array: f"{array.dtype}{array.shape}",
)  # fmt: skip
def test_arrays_of_every_plain_kind_are_read_as_they_are(tmp_path: Path, array: np.ndarray) -> None:
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", array=array)
        found = read_npz(tmp_path / "a.npz")["array"]
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype.newbyteorder("=")
        assert found.flags.writeable


def test_only_what_is_wanted_is_read(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("good.npy", npy(described()))
        archive.writestr("bad.npy", stream.getvalue())
        archive.writestr("notes.txt", "no array")
    assert list_npz(tmp_path / "a.npz") == ["good", "bad"]
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", "good".__eq__)["good"], VALUES)


def test_what_is_written_is_read_also_where_it_looks_like_a_bomb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("_zip_files", "_arrays"):
        monkeypatch.setattr(f"gradscape.{module}.MOST_INFLATED", 100_000)
    save_arrays(tmp_path / "a.npz", {"zeros": np.zeros(200_000)}, {"model": "toy"})
    assert not load_arrays(tmp_path / "a.npz")[0]["zeros"].any()
    assert load_provenance(tmp_path / "a.npz")["model"] == "toy"


def test_what_is_no_array_by_its_name_is_not_passed_over(tmp_path: Path) -> None:
    """A flipped bit of the ending would take an array away, and a result may do without it."""
    path = tmp_path / "a.npz"
    np.savez(path, first=np.ones(2), second=np.ones(2))
    with zipfile.ZipFile(path) as archive:
        first = archive.read("first.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("first.npy", first)
        archive.writestr("second.npq", first)
    with pytest.raises(ValueError, match=r"`second.npq` in it is no array"):
        read_npz(path)


def test_a_name_that_lost_a_bit_is_told_also_where_nobody_reads_the_member(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=VALUES, names=np.array(["cat", "dog"]))
    content = path.read_bytes()
    for place in (found.start() for found in re.finditer(b"names", content)):
        path.write_bytes(content[:place] + b"nbmes" + content[place + 5 :])
        with pytest.raises(ValueError, match=r"a\.npz` must be .*: .*nbmes"):
            read_npz(path, lambda name: name == "x")
        with pytest.raises(ValueError, match="nbmes"):
            list_npz(path)
