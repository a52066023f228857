"""Files of torch.save, whose reader believes their sizes and does not look at their checksums."""

import pickle
import struct
import time
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from gradscape._foreign_file import read_foreign_states
from gradscape._torch_files import read_torch


def saved(path: Path, content: Any) -> bytes:
    torch.save(content, path)
    return path.read_bytes()


def test_a_wrong_bit_in_a_tensor_is_told(tmp_path: Path) -> None:
    path, weight = tmp_path / "model.pt", torch.arange(1000.0)
    content = bytearray(saved(path, {"weight": weight}))
    content[content.index(weight[500:501].numpy().tobytes())] ^= 1
    path.write_bytes(content)
    assert torch.load(path, weights_only=True)["weight"][500] != 500  # which torch itself takes
    with pytest.raises(ValueError, match=r"model\.pt must be a state dict saved by torch, and is not: Bad CRC-32"):
        read_foreign_states(path)


def test_a_file_that_torch_takes_for_a_zip_file_is_looked_through_as_one(tmp_path: Path) -> None:
    path, weight = tmp_path / "model.pt", torch.arange(1000.0)
    content = bytearray(saved(path, {"weight": weight}))
    content[content.index(weight[300:301].numpy().tobytes())] ^= 1
    path.write_bytes(content[:-12] * 2)
    assert not zipfile.is_zipfile(path)
    assert torch.load(path, weights_only=True)["weight"][300] != 300
    with pytest.raises(ValueError, match=r"model\.pt must be a state dict saved by torch, and is not: "):
        read_foreign_states(path)


def test_what_is_looked_through_is_what_torch_will_read(tmp_path: Path) -> None:
    path, weight = tmp_path / "model.pt", torch.arange(1000.0)
    whole = saved(path, {"weight": weight})
    wrong = bytearray(whole)
    wrong[wrong.index(weight[700:701].numpy().tobytes())] ^= 1
    path.write_bytes(wrong + whole)
    assert torch.load(path, weights_only=True)["weight"][700] != 700
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None  # of the copy behind
    with pytest.raises(ValueError, match=r"model\.pt must be .*, and is not: something lies before its first member"):
        read_foreign_states(path)


def test_an_old_file_with_a_zip_file_behind_it_is_looked_through_as_an_old_one(tmp_path: Path) -> None:
    zipped = saved(tmp_path / "zip.pt", {"weight": torch.arange(3)})
    torch.save({"weight": torch.arange(1011.0)}, tmp_path / "model.pt", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "model.pt").read_bytes()
    count = b"M" + struct.pack("<H", 1011) + b"N"
    assert whole.count(count) == 1
    (tmp_path / "model.pt").write_bytes(
        whole.replace(count, b"\x8a\x06" + (2**40).to_bytes(6, "little") + b"N") + zipped
    )
    assert zipfile.is_zipfile(tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"bytes and claims a tensor of 1,099,511,627,776 numbers"):
        read_foreign_states(tmp_path / "model.pt")


def test_files_that_were_written_without_checksums_are_read(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        saved(tmp_path / "model.pt", {"weight": torch.arange(3)})
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_torch(tmp_path / "model.pt")["weight"].tolist() == [0, 1, 2]


def test_a_tensor_that_inflates_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(1000))
    content = path.read_bytes()
    place = content.index(b"PK\x01\x02") + 24
    path.write_bytes(content[:place] + struct.pack("<I", 2**32 - 2) + content[place + 4 :])
    with pytest.raises(ValueError, match=r"claims to hold 4,294,967,294"):
        read_foreign_states(path)


@pytest.mark.parametrize("cut", [1, 300])
def test_a_file_without_its_end_is_told(tmp_path: Path, cut: int) -> None:
    content = saved(tmp_path / "model.pt", {"weight": torch.arange(1000)})
    (tmp_path / "model.pt").write_bytes(content[:-cut])
    with pytest.raises(ValueError, match=r"model\.pt must be .*, and is not: File is not a zip file; nothing"):
        read_foreign_states(tmp_path / "model.pt")


@pytest.mark.parametrize("kind", ["expanded", "without data"])
def test_a_tensor_that_claims_more_numbers_than_the_file_has_is_refused(tmp_path: Path, kind: str) -> None:
    tensors = {
        "expanded": torch.zeros(1).expand(10**6, 10**6),
        "without data": torch.empty(10**12, device="meta"),
    }
    saved(tmp_path / "model.pt", {"linear.weight": tensors[kind]})
    with pytest.raises(ValueError, match=r"model\.pt must hold plain tensors, but linear\.weight has no numbers"):
        read_foreign_states(tmp_path / "model.pt")


def test_a_dict_that_lies_in_a_million_places_is_searched_once(tmp_path: Path) -> None:
    barren: Any = {"epoch": 3}
    for _ in range(4):
        barren = {str(number): barren for number in range(200)}
    saved(tmp_path / "model.pt", {"more": barren, "state_dict": {"weight": torch.zeros(2)}})
    before = time.monotonic()
    assert list(read_foreign_states(tmp_path / "model.pt")) == ["state_dict"]
    assert time.monotonic() - before < 30  # it was a day
    full: Any = {"weight": torch.zeros(2)}
    for _ in range(3):
        full = {str(number): full for number in range(30)}
    saved(tmp_path / "model.pt", full)
    with pytest.raises(ValueError, match=r"model\.pt must hold a state dict, but holds more than 10,000"):
        read_foreign_states(tmp_path / "model.pt")


def test_an_old_file_that_claims_a_huge_tensor_is_refused_before_room_is_made(tmp_path: Path) -> None:
    path, content = tmp_path / "model.pth", {"seed": 2**62, "weight": torch.arange(1011.0)}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    assert read_torch(path)["seed"] == 2**62
    whole = path.read_bytes()
    count = b"M" + struct.pack("<H", 1011) + b"N"  # of the storage's numbers, which are no view
    assert whole.count(count) == 1
    path.write_bytes(whole.replace(count, b"\x8a\x06" + (2**40).to_bytes(6, "little") + b"N"))
    with pytest.raises(ValueError, match=r"bytes and claims a tensor of 1,099,511,627,776 numbers"):
        read_foreign_states(path)


class _OfNoStorage:
    def __reduce__(self) -> tuple[Any, ...]:
        return torch._utils._rebuild_tensor_v2, (_Foreign(), 0, (3,), (1,), False, OrderedDict())


class _Foreign:
    pass


def test_a_tensor_of_something_else_than_numbers_is_told(tmp_path: Path) -> None:
    torch.save({"weight": _OfNoStorage()}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"is not: it has .*_Foreign where a part of a tensor must be; nothing in it"):
        read_foreign_states(tmp_path / "model.pt")


def test_another_protocol_is_read_or_refused_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(pickle.dumps({"weight": 3}, protocol=4))
    with pytest.raises(ValueError, match=r"is not: its parts do not fit together; nothing in it was executed"):
        read_foreign_states(path)
