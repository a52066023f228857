"""What a file says of its making: which network, data and versions; the same in every kind of file."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from importlib.metadata import version
from typing import Any, final

from gradscape import __version__
from gradscape._text_files import parse_json

__all__ = ["CHANCE", "Provenance", "current_versions"]

CHANCE = "at_chance"
"""Entry of a result: names of the networks that only guess on its images."""

_LAYOUT = "provenance_layout"
_NEWEST = 2  # 0.1.0 wrote the first, without a number


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Provenance(Mapping[str, Any]):
    """How a result came about.

    As a mapping it has the entries that are filled, as JSON holds them, with those of `others` among them.

    Attributes:
        model: The network as `create_model` takes it.
        title: What pictures call it, where that is another name.
        weights: Digest of its parameters and buffers: `digest_model`.
        data: Name of the data set.
        split: "train" or "test"; "val" where validation images serve as test images; "all" of data without a split
            of their own.
        images: How many images were looked at.
        image_digest: Of the images as one batch in [0, 1].
        image_names: Names of their files.
        population: How many images these were drawn from.
        seed: Of everything random.
        versions: Package -> version, of gradscape, torch and what else the numbers depend on.
        others: What one kind of result has to say besides: plan, directions, normalization, alignment …; also an
            entry of a name above that holds something of another type, as a user's own may.
    """

    model: str | None = None
    title: str | None = None
    weights: str | None = None
    data: str | None = None
    split: str | None = None
    images: int | None = None
    image_digest: str | None = None
    image_names: tuple[str, ...] | None = None
    population: int | None = None
    seed: int | None = None
    versions: Mapping[str, str] | None = None
    others: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Mapping[str, Any]) -> "Provenance":
        """Sort entries into the fields that are meant for them."""
        if isinstance(entries, Provenance):
            return entries
        named = {name: entries[name] for name, fits in _FITS.items() if name in entries and fits(entries[name])}
        if "image_names" in named:
            named["image_names"] = tuple(named["image_names"])
        return cls(**named, others={name: value for name, value in entries.items() if name not in named})

    @classmethod
    def from_json(cls, text: str) -> "Provenance":
        """Read what `to_json` wrote, of this version or of 0.1.0.

        Raises:
            ValueError: It is no JSON, or of a layout that is newer than this version.
            TypeError: It is JSON of something else.
        """
        entries = parse_json(text)
        if not isinstance(entries, dict):
            raise TypeError(f"`text` must be a JSON object, got {type(entries).__name__}")
        layout = entries.pop(_LAYOUT, 1)
        if not _is_count(layout) or layout > _NEWEST:
            raise ValueError(f"`text` has layout {layout} of the provenance, this version reads up to {_NEWEST}")
        entries = entries if layout > 1 else _upgraded(entries)
        if "split" in entries and str(entries.get("data")).startswith("npz:"):
            entries["split"] = "all"  # older files say what was asked for, which was never less than the whole file
        return cls.of(entries)

    def to_json(self) -> str:
        """Everything as one line of JSON.

        Raises:
            TypeError: One of the entries is nothing that JSON can hold.
            ValueError: They are more, or nested deeper, than is read again.
        """
        text = json.dumps({**self, _LAYOUT: _NEWEST})
        parse_json(text)
        return text

    @property
    def called(self) -> str:
        """What pictures call the network: its title, else the model; "" where neither is known."""
        return self.title or str(self.get("model") or "")

    @cached_property
    def _entries(self) -> dict[str, Any]:
        named = {name: getattr(self, name) for name in _FITS if getattr(self, name) is not None}
        if self.image_names is not None:
            named["image_names"] = list(self.image_names)
        return {**named, **self.others}

    def __getitem__(self, name: str) -> Any:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def current_versions(*packages: str) -> dict[str, str]:
    """Versions of gradscape and torch, and of more packages that numbers depend on."""
    import torch  # not on top: files are read and drawn without it

    return {"gradscape": __version__, "torch": torch.__version__, **{name: version(name) for name in packages}}


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_names(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(map(_is_text, value))


def _is_versions(value: object) -> bool:
    return isinstance(value, Mapping) and all(_is_text(part) for pair in value.items() for part in pair)


_FITS = {
    **dict.fromkeys(("model", "title", "weights", "data", "split"), _is_text),
    "images": _is_count,
    "image_digest": _is_text,
    "image_names": _is_names,
    "population": _is_count,
    "seed": _is_count,
    "versions": _is_versions,
}
assert [*_FITS, "others"] == [one.name for one in fields(Provenance)]


def _upgraded(entries: dict[str, Any]) -> dict[str, Any]:
    """The entries of 0.1.0 under today's names; what users had under these names stays theirs."""
    new = dict(entries)
    if "title" in new:
        new["user_title"] = new.pop("title")  # it meant nothing then, and is what pictures say today
    if _is_versions(new.get("versions", {})):
        loose = {name: new.pop(name) for name in ("gradscape", "torch") if _is_text(new.get(name))}
        new |= {"versions": {**loose, **new.get("versions", {})}} if loose else {}
    explained = _is_text(new.get("images")) and _is_names(new.get("image_names"))
    if explained:
        new["image_digest"] = new.pop("images")
        new["images"] = len(new["image_names"])
    if "model" in new and (explained or isinstance(new.get("embedding"), dict)):
        new["title"] = new.pop("model")  # of explanations it was the name on pictures
    if _is_versions(new.get("functions")):
        # Those of gradscape were named by the file that they were in.
        new["functions"] = {role: _OWN.sub(r"gradscape.\1", name) for role, name in new["functions"].items()}
    return new


_OWN = re.compile(r"\bgradscape\.(?:\w+\.)+(\w+)\b")
