"""What commands write beside surfaces: arrays, tables, searches; and arrays of images that users bring."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from gradscape._arrays import load_arrays
from gradscape._provenance import Provenance
from gradscape.data import load_split
from gradscape.data.pictures import load_shown_pictures
from gradscape.explain.attention_map import load_attention_maps
from gradscape.explain.embedding import Embedding
from gradscape.explain.faithfulness import Faithfulness
from gradscape.explain.fusion_map import FusionMaps
from gradscape.explain.heatmap import Heatmaps
from gradscape.models import load_checkpoint
from gradscape.studies.planes import make_subjects, remembered_search
from gradscape.training.history import load_metrics
from tests.fuzz.json_damage import damage_json
from tests.fuzz.npz_damage import damage_npz
from tests.fuzz.originals import KEPT, Original
from tests.fuzz.plain_readers import Numbers, plain_npz, plain_table
from tests.fuzz.text_damage import damage_table

__all__ = ["data_files", "result_files", "search_files", "table_files"]

_DERIVED = "display"  # made of the other numbers again


def result_files(folder: Path) -> list[Original]:
    """Results of every kind that are arrays."""
    readers: dict[str, Callable[[Path], Numbers]] = {
        "kept_network-small_net/gradcam.npz": _heatmaps,
        "attention.npz": _attention,
        "embedding.npz": _embedding,
        "faithfulness.npz": _faithfulness,
        "fusion.npz": _fusion,
        "pictures.npz": _pictures,
        "upanets_15.npz": _figure,
    }
    originals = []
    for name, read in readers.items():
        path = Path(shutil.copy(KEPT / name, folder))
        originals.append(Original(path, read, _plain_result, damage_npz, sealed=True))
    return originals


def data_files(folder: Path) -> list[Original]:
    """Images and labels as users bring them."""
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (12, 9, 7, 3), dtype=np.uint8), np.arange(12) % 4
    np.savez_compressed(folder / "images.npz", images=images, labels=labels, classes=np.array(["a", "b", "c", "d"]))
    np.savez(folder / "floats.npz", images=(images[..., 0] / 255).astype(np.float32), labels=labels)
    names = ("images.npz", "floats.npz")
    return [Original(folder / name, _data, _plain_data, damage_npz, sealed=True) for name in names]


def table_files(folder: Path) -> list[Original]:
    """What a training told, epoch by epoch."""
    return [Original(Path(shutil.copy(KEPT / "metrics.csv", folder)), _table, _plain_metrics, _damage_table)]


def search_files(folder: Path) -> list[Original]:
    """A search for a span that was made."""
    return [Original(Path(shutil.copy(KEPT / "span.json", folder)), _search, _plain_search, _damage_search)]


def _heatmaps(path: Path) -> Numbers:
    maps = Heatmaps.load(path)
    about = {"method": maps.method, "target_layer": maps.target_layer, "image_size": list(maps.image_size)}
    return _result(maps, ("raw", "class_index", "score", "probability"), {**maps.meta, "heatmaps": about})


def _attention(path: Path) -> Numbers:
    maps, meta = load_attention_maps(path)
    return {
        **{name: one.values for name, one in maps.items()},
        "kinds": {name: one.kind for name, one in maps.items()},
    } | _told(meta)


def _embedding(path: Path) -> Numbers:
    found = Embedding.load(path)
    classes = None if found.classes is None else list(found.classes)
    about = {name: getattr(found, name) for name in ("layer", "backend", "perplexity", "seed")}
    quality = {name: value for name, value in asdict(found.quality).items() if isinstance(value, int | float)}
    return _result(found, ("points", "labels"), found.meta) | about | {"classes": classes, "quality": quality}


def _faithfulness(path: Path) -> Numbers:
    found = Faithfulness.load(path)
    names = [name for name in np.load(KEPT / "faithfulness.npz").files if name != "meta"]
    faults = {str(number): fault for number, fault in found.faults.items()}
    return _result(found, names, {**found.meta, "faithfulness": {"faults": faults}})


def _fusion(path: Path) -> Numbers:
    found = FusionMaps.load(path)
    about = {"block": found.block, "names": list(found.names)}
    return _result(found, ("before", "part", "fused"), {**found.meta, "fusion": about})


def _pictures(path: Path) -> Numbers:
    found = load_shown_pictures(path)
    return {"pixels": found.pixels, "meta": {"pictures": {"names": list(found.names), "digest": found.digest}}}


def _figure(path: Path) -> Numbers:
    arrays, meta = load_arrays(path)
    return {**arrays, "meta": dict(meta)}


def _result(found: object, arrays: Any, meta: Mapping[str, Any]) -> Numbers:
    return {name: getattr(found, name) for name in arrays} | _told(meta)


def _told(meta: Mapping[str, Any]) -> Numbers:
    return {"meta": dict(meta)}


def _plain_result(path: Path) -> Numbers:
    found = plain_npz(path)
    meta = dict(Provenance.from_json(json.dumps(found.pop("meta"))))
    found.pop(_DERIVED, None)
    if "embedding" in meta:
        return found | _plain_embedding(meta)
    if "attention_maps" in meta:
        named = meta.pop("attention_maps")
        return {name: found[name] for name in named} | {
            "kinds": {name: one["kind"] for name, one in named.items()},
            "meta": meta,
        }
    return {**found, "meta": {"pictures": meta["pictures"]} if "pictures" in meta else meta}


def _plain_embedding(meta: dict[str, Any]) -> Numbers:
    about = meta.pop("embedding")
    quality = {name: np.nan if value is None else value for name, value in about.pop("quality").items()}
    return {
        **about,
        "quality": {name: one for name, one in quality.items() if isinstance(one, int | float)},
        "meta": meta,
    }


def _data(path: Path) -> Numbers:
    split = load_split(f"npz:{path}", "train")
    images, labels = zip(*split, strict=True)
    return {"images": np.concatenate(images), "labels": np.concatenate(labels), "classes": list(split.classes)}


def _plain_data(path: Path) -> Numbers:
    found = plain_npz(path, "images", "labels", "classes")
    images, labels = found["images"], found["labels"]
    scaled = images.astype(np.float32) / np.float32(255) if images.dtype == np.uint8 else images.astype(np.float32)
    channels = scaled if scaled.ndim == 4 else scaled[..., None]
    shape = (*channels.shape[:3], 3)
    classes = found.get("classes", np.arange(max(int(labels.max()), 0) + 1)).astype(str)
    return {
        "images": np.broadcast_to(channels, shape).transpose(0, 3, 1, 2),
        "labels": labels,
        "classes": classes.tolist(),
    }


def _table(path: Path) -> Numbers:
    return dict(load_metrics(path))


def _plain_metrics(path: Path) -> Numbers:
    found = plain_table(path)
    if "epoch" in found and found["epoch"][:1].tolist() == [0]:  # as files of 0.1.0 count
        found["epoch"] = found["epoch"] + 1
    return found


def _damage_table(path: Path, random: Random, canary: Path) -> str:
    text, how = damage_table(path.read_text(encoding="utf-8"), random)
    path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    return how


@cache
def _sought() -> tuple[list[Any], Any]:
    model = load_checkpoint(KEPT / "model.safetensors")
    split = load_split("digits", "train", image_size=16, limit=256, seed=0)
    return make_subjects({"kept_network-small_net": model}, split, Path("unused"), seeds=[0]), split


def _search(path: Path) -> Numbers:
    """The search, or that it would be made again, as it is of another network."""
    found = remembered_search(*_sought(), path)
    return {"again": True} if found is None else json.loads(json.dumps(asdict(found)))


def _plain_search(path: Path) -> Numbers:
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored.pop("subjects", None) != json.loads((KEPT / "span.json").read_text(encoding="utf-8"))["subjects"]:
        return {"again": True}
    usual = {"decades": 0.0}  # which 0.1.0 did not write
    return {**stored, "trials": [{**usual, **trial} for trial in stored["trials"]]}


def _damage_search(path: Path, random: Random, canary: Path) -> str:
    text, how = damage_json(path.read_text(encoding="utf-8"), random)
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return how
