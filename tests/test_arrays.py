"""Results in `.npz` files that hold something else than their kind says: refused in a line, whatever it is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradscape._arrays import load_arrays
from gradscape._npz import read_npz
from gradscape.data.pictures import load_shown_pictures
from gradscape.explain.attention_map import load_attention_maps
from gradscape.explain.decision_regions import DecisionMap
from gradscape.explain.embedding import Embedding
from gradscape.explain.factorization import FeatureFactors
from gradscape.explain.faithfulness import Faithfulness
from gradscape.explain.fusion_map import FusionMaps
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.randomization import Randomization
from gradscape.landscape import Topology
from gradscape.studies.image_answers import ImageAnswers
from tests.figures.pages_of_all_kinds import decisions
from tests.landscape.topology.surfaces import surface_of_values

KEPT = Path(__file__).parent / "kept"
Load = Callable[[Path], object]
KINDS: dict[str, tuple[str, Load]] = {
    "answers": ("answers.npz", ImageAnswers.load),
    "attention_maps": ("attention.npz", load_attention_maps),
    "decision": ("decision.npz", DecisionMap.load),
    "embedding": ("embedding.npz", Embedding.load),
    "factors": ("factors.npz", FeatureFactors.load),
    "faithfulness": ("faithfulness.npz", Faithfulness.load),
    "fusion": ("fusion.npz", FusionMaps.load),
    "heatmaps": ("gradcam.npz", Heatmaps.load),
    "pictures": ("pictures.npz", load_shown_pictures),
    "randomization": ("randomization.npz", Randomization.load),
    "topology": ("topology.npz", Topology.load),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result of every kind."""
    folder = tmp_path_factory.mktemp("results")
    for path in (*KEPT.glob("*.npz"), KEPT / "kept_network-small_net" / "gradcam.npz"):
        shutil.copy(path, folder)
    rows = np.arange(3)
    ImageAnswers(rows, rows, rows / 4, rows / 2, rows > 0, None, ("a", "b", "c")).save(folder / "answers.npz")
    maps, wide = np.ones((2, 3, 4, 5), np.float32), np.ones((3, 6), np.float32)
    FeatureFactors(wide, maps, wide[0], None, 0.25, (8, 10), "deep", {}).save(folder / "factors.npz")
    Randomization(("head",), maps[0, :1, 0], maps[0, :1, 0], {"": {}}, {}).save(folder / "randomization.npz")
    surface_of_values(rows[:, None] + rows[None, :2] / 2.0).topology().save(folder / "topology.npz")
    decisions().save(folder / "decision.npz")
    return folder


def rewritten(source: Path, path: Path, change: Callable[[dict[str, np.ndarray], dict[str, Any]], object]) -> Path:
    """The same file with other arrays or another provenance."""
    arrays = read_npz(source)
    meta = json.loads(str(arrays.pop("meta")))
    change(arrays, meta)
    np.savez(path, **arrays, meta=np.array(json.dumps(meta)))  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_refuses_entries_and_arrays_of_another_kind(results: Path, tmp_path: Path, kind: str) -> None:
    name, load = KINDS[kind]
    load(results / name)
    first = next(iter(read_npz(results / name)))
    entry = dict(load_arrays(results / name)[1])[kind]
    entries: list[Any] = [3, None, "text", [1], {"a": 1}]
    values: list[Any] = [True, [[{}]], {"a": [None]}]
    wrong: list[Callable[[dict[str, np.ndarray], dict[str, Any]], object]] = [
        *(lambda _, meta, value=value: meta.update({kind: value}) for value in entries),
        *(
            lambda _, meta, field=field, value=value: meta[kind].update({field: value})
            for field in entry
            for value in values
        ),
        *(lambda _, meta, field=field: meta[kind].pop(field) for field in entry if kind != "attention_maps"),
        lambda arrays, _: arrays.pop(first),
        lambda arrays, _: arrays.update({first: np.array("text")}),
        lambda arrays, _: arrays.update({first: arrays[first].astype(complex)}),
    ]
    if kind != "attention_maps":  # whose maps have any shape
        wrong.append(lambda arrays, _: arrays.update({first: arrays[first][None]}))
        wrong.append(lambda arrays, _: arrays.update({"more": arrays[first]}))
    for number, change in enumerate(wrong):
        path = rewritten(results / name, tmp_path / f"{number}.npz", change)
        with pytest.raises(ValueError, match=rf"{number}\.npz` must hold") as raised:
            load(path)
        assert len(str(raised.value)) < 1000, number


@pytest.mark.parametrize("text", ["3", "[1]", "null", '"text"', "[" * 5000, '{"provenance_layout": "new"}', "{"])
def test_a_provenance_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(2), meta=np.array(text))
    with pytest.raises(ValueError, match=r"a\.npz` must be a .npz file of gradscape with its provenance: \S"):
        load_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("meta", [np.zeros(3), np.array(["{}", "{}"]), np.array(b"{}")])
def test_a_provenance_that_is_no_text_is_refused(tmp_path: Path, meta: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", meta=meta)
    with pytest.raises(ValueError, match=r"with its provenance: its own is"):
        load_arrays(tmp_path / "a.npz")
