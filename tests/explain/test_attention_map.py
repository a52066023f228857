from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gradscape._arrays import save_arrays
from gradscape.explain.attention_map import AttentionMap, MapCollector, load_attention_maps, save_attention_maps


def test_saved_maps_come_back_with_blocks_kinds_grids_and_provenance(tmp_path: Path) -> None:
    collector = MapCollector((2, 3, 8, 12))
    collector.add("block.channel", "block", "channel", torch.randn(2, 5))
    collector.add("block.affinity", "block", "affinity", torch.randn(2, 4, 7, 7), grid=(2, 3))
    collector.add("block.channel", "block", "channel", torch.randn(2, 5))
    known = replace(collector.maps["block.affinity"], read=(0,), left_out=("other",))
    collector.maps["block.affinity"] = known
    save_attention_maps(tmp_path / "maps.npz", collector.maps, {"checkpoint": "a" * 64})
    maps, meta = load_attention_maps(tmp_path / "maps.npz")
    assert meta == {"checkpoint": "a" * 64}
    assert list(maps) == ["block.channel", "block.affinity", "block.channel:2"]
    assert maps["block.channel:2"].name == "block.channel"
    assert maps["block.affinity"].grid == (2, 3)
    assert (maps["block.affinity"].read, maps["block.affinity"].left_out) == ((0,), ("other",))
    assert (maps["block.channel"].read, maps["block.channel"].left_out) == (None, ())
    for key, one in collector.maps.items():
        assert (one.block, one.kind, one.grid) == (maps[key].block, maps[key].kind, maps[key].grid)
        np.testing.assert_array_equal(one.values, maps[key].values)


def test_a_file_written_before_what_is_read_was_known_still_loads(tmp_path: Path) -> None:
    named = {"one": {"name": "one", "block": "", "kind": "affinity", "grid": [2, 3]}}
    save_arrays(tmp_path / "old.npz", {"one": np.ones((2, 4, 7, 7), np.float32)}, {"attention_maps": named})
    maps, _ = load_attention_maps(tmp_path / "old.npz")
    assert (maps["one"].grid, maps["one"].read, maps["one"].left_out) == ((2, 3), None, ())


def test_a_grid_that_the_keys_cannot_fill_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`grid` must lay out the keys of an affinity, got \(3, 3\)"):
        AttentionMap("a", "b", "affinity", np.zeros((2, 4, 8, 8), np.float32), (3, 3))
    with pytest.raises(ValueError, match="for the mask"):
        AttentionMap("a", "b", "mask", np.zeros((2, 4, 8, 8), np.float32), (2, 2))


def test_other_arrays_are_refused(tmp_path: Path) -> None:
    save_arrays(tmp_path / "other.npz", {"points": np.zeros(3)}, {})
    with pytest.raises(ValueError, match="must hold attention maps, but holds points"):
        load_attention_maps(tmp_path / "other.npz")


def test_a_collected_map_is_a_float32_copy_in_row_order() -> None:
    values = torch.randn(2, 5, 3, 4, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)
    collector = MapCollector((2, 3, 8, 12))
    collector.add("mask", "", "mask", values)
    expected = values.float().numpy().copy()
    values.zero_()
    kept = collector.maps["mask"].values
    assert kept.dtype == np.float32
    assert kept.flags.c_contiguous
    np.testing.assert_array_equal(kept, expected)
