"""Checkpoints of gradscape, and those of other programs."""

import gzip
import io
import re
import shutil
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from random import Random

import torch
from safetensors.torch import save_file
from torch import Tensor

from gradscape._foreign_file import read_foreign_states
from gradscape.models import load_checkpoint, save_checkpoint
from tests.fuzz.canary import armed_torch_file
from tests.fuzz.originals import KEPT, Original
from tests.fuzz.plain_readers import Numbers, plain_safetensors
from tests.fuzz.safetensors_damage import damage_safetensors

__all__ = ["checkpoint_files", "foreign_files"]

_NETWORK = "kept_network:small_net"
_VALID = Path(__file__).with_name("valid")
_COUNTER = "num_batches_tracked"  # what inference does not use
_IMPORTED = (
    "import", "{path}", "--model", _NETWORK, "--num-classes", "10", "--image-size", "16", "--mean", "0.3,0.3,0.3",
    "--std",
    "0.4,0.4,0.4", "-o", "{out}.safetensors", "-q",
)  # fmt: skip


def checkpoint_files(folder: Path) -> list[Original]:
    """The small network as 0.1.0 wrote it, and as it is written today."""
    old = Path(shutil.copy(KEPT / "model.safetensors", folder / "model_0.1.0.safetensors"))
    model, new = load_checkpoint(old), folder / "model.safetensors"
    about = {name: model.meta[name] for name in ("name", "num_classes", "image_size", "mean", "std")}
    save_checkpoint(
        new, model, **about, labels=[f"digit {number}" for number in range(10)], scores={"test_accuracy": 0.5}
    )
    read = (_read, _plain, _damage_header)
    return [Original(old, *read), Original(new, *read, sealed=True)]


def foreign_files(folder: Path) -> list[Original]:
    """The small network's weights as torch writes them today and did once, bare or wrapped, and as safetensors."""
    state = load_checkpoint(KEPT / "model.safetensors").network.state_dict()
    contents = {
        "bare": state,
        "wrapped": {"state_dict": {f"module.{name}": one for name, one in state.items()}, "epoch": 3},
    }
    originals = []
    for name, content in contents.items():
        new, old = folder / f"{name}.pt", folder / f"{name}.pth"
        torch.save(content, new)
        # Made once by torch.save(…, _use_new_zipfile_serialization=False), which writes addresses of this process.
        old.write_bytes(gzip.decompress((_VALID / f"{old.name}.gz").read_bytes()))
        reading = (_read_foreign, _plain_torch, partial(_arm, state))
        originals += [
            Original(path, *reading, sealed=sealed, commands=(_IMPORTED,))
            for path, sealed in ((new, True), (old, False))
        ]
    path = folder / "foreign.safetensors"
    save_file({name: one.contiguous() for name, one in state.items()}, path)
    return [*originals, Original(path, _read_foreign, _plain_foreign, _damage_header, commands=(_IMPORTED,))]


def _damage_header(path: Path, random: Random, canary: Path) -> str:
    data, how = damage_safetensors(path.read_bytes(), random)
    path.write_bytes(data)
    return how


def _arm(state: dict[str, Tensor], path: Path, random: Random, canary: Path) -> str:
    path.write_bytes(armed_torch_file(canary, state, random))
    return "a pickle that would run code"


def _read(path: Path) -> Numbers:
    model = load_checkpoint(path)
    return {**_arrays(model.network.state_dict()), "meta": model.meta}


def _plain(path: Path) -> Numbers:
    found = plain_safetensors(path)
    return {name: one for name, one in found.items() if not name.endswith(_COUNTER)}


def _read_foreign(path: Path) -> Numbers:
    return {name: one for state in read_foreign_states(path).values() for name, one in _arrays(state).items()}


def _plain_foreign(path: Path) -> Numbers:
    return {name: one for name, one in plain_safetensors(path, described=False).items() if not name.endswith(_COUNTER)}


def _plain_torch(path: Path) -> Numbers:
    """By torch, as no other library reads its files; nothing is run. Objects beside the tensors may be of any type."""
    strangers: dict[str, type] = {}
    while True:
        try:
            with torch.serialization.safe_globals([(one, name) for name, one in strangers.items()]):
                content = torch.load(io.BytesIO(path.read_bytes()), weights_only=True, map_location="cpu")
            return _arrays(content.get("state_dict", content))
        except UnpicklingError as problem:
            unknown = re.search(r"GLOBAL (\S+) was not an allowed global", str(problem))
            if unknown is None or unknown[1] in strangers:
                raise
            strangers[unknown[1]] = type("Stranger", (dict,), {})


def _arrays(state: dict[str, Tensor]) -> Numbers:
    plain = {name.removeprefix("module."): one.detach() for name, one in state.items() if not name.endswith(_COUNTER)}
    return {name: (one.float() if one.dtype == torch.bfloat16 else one).numpy() for name, one in plain.items()}
