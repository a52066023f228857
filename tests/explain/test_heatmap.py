from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gradscape._arrays import save_arrays
from gradscape.explain.heatmap import Heatmaps


def _heatmaps(raw: np.ndarray, image_size: tuple[int, int] = (9, 14)) -> Heatmaps:
    count = len(raw)
    return Heatmaps(
        raw.astype(np.float32),
        image_size=image_size,
        method="gradcam",
        target_layer="stages.2",
        class_index=np.arange(count),
        score=np.linspace(1, 2, count, dtype=np.float32),
        probability=np.linspace(0.5, 1, count, dtype=np.float32),
        meta={"model": "toy"},
    )


def test_display_is_the_positive_part_resized_and_scaled_to_fill_zero_to_one() -> None:
    raw = np.random.default_rng(0).normal(size=(3, 4, 5)) + 0.3
    found = _heatmaps(raw)
    for one, shown in zip(raw, found.display, strict=True):
        positive = torch.from_numpy(one).clamp(min=0)[None, None]
        resized = F.interpolate(positive, (9, 14), mode="bilinear", align_corners=False)[0, 0].numpy()
        np.testing.assert_allclose(shown, (resized - resized.min()) / (resized.max() - resized.min()), atol=1e-6)
    assert found.display.shape == (3, 9, 14)
    assert found.display.dtype == np.float32


def test_shared_display_keeps_the_ratios_between_images() -> None:
    one = np.arange(12.0).reshape(3, 4)
    shared = _heatmaps(np.stack([one, one / 4]), (3, 4)).shared_display
    np.testing.assert_allclose(shared[0], one / 11, atol=1e-6)
    np.testing.assert_allclose(shared[1], shared[0] / 4, atol=1e-6)


def test_what_must_not_be_painted_is_told_and_spoils_no_other_map() -> None:
    good = np.arange(12.0).reshape(3, 4)
    broken = good.copy()
    broken[1, 2] = np.inf
    found = _heatmaps(np.stack([good, broken, 0 * good, -1 - good, 0 * good + 2]))
    assert found.faults == {1: "not finite", 2: "all zero", 3: "nothing positive", 4: "constant"}
    assert np.isnan(found.display[1]).all()
    assert np.isnan(found.shared_display[1]).all()
    assert not found.display[2:].any()
    alone = _heatmaps(good[None])
    np.testing.assert_array_equal(found.display[0], alone.display[0])
    np.testing.assert_array_equal(found.shared_display[0], alone.shared_display[0])


def test_file_holds_everything(tmp_path: Path) -> None:
    found = _heatmaps(np.random.default_rng(1).normal(size=(2, 3, 5)))
    found.save(tmp_path / "cam.npz")
    again = Heatmaps.load(tmp_path / "cam.npz")
    for name in ("raw", "class_index", "score", "probability", "display"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    assert (again.method, again.target_layer, again.image_size) == ("gradcam", "stages.2", (9, 14))
    assert again.meta == {"model": "toy"}


def test_file_of_something_else_is_refused(tmp_path: Path) -> None:
    save_arrays(tmp_path / "x.npz", {"points": np.zeros(3)}, {})
    with pytest.raises(ValueError, match=r"x.npz` must hold heatmaps, but holds points$"):
        Heatmaps.load(tmp_path / "x.npz")
    np.save(tmp_path / "z.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"z.npy` must be a .npz file of gradscape"):
        Heatmaps.load(tmp_path / "z.npy")
    (tmp_path / "y.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"y.npz` must be a .npz file of gradscape"):
        Heatmaps.load(tmp_path / "y.npz")


@pytest.mark.parametrize(("name", "value"), [("raw", np.zeros((3, 4))), ("score", np.zeros(5))])
def test_shapes_are_checked(name: str, value: np.ndarray) -> None:
    good = _heatmaps(np.zeros((2, 3, 4)))
    fields = {**vars(good), name: value}
    with pytest.raises(ValueError, match=f"^`{name}` must"):
        Heatmaps(**fields)
