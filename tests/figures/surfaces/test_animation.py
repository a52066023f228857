"""Movies: frames of one size on one scale, in files that are written whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gradscape.figures.surfaces import animation
from gradscape.figures.surfaces.animation import frame_pictures, movie_endings, save_movie
from gradscape.landscape import Field
from tests.figures.results import bowl, make_surface
from tests.figures.trajectories import make_path


def frames() -> list[Field]:
    path = make_path().to_entry()
    return [make_surface(level * bowl(), trajectories=[path]).field() for level in (3.0, 2.0, 1.0)]


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return list(frame_pictures(frames(), titles=["epoch 0", "epoch 1", "epoch 2"]))


def test_frames_have_one_size_with_even_sides_and_differ(pictures: list[np.ndarray]) -> None:
    (shape,) = {picture.shape for picture in pictures}
    assert shape[0] % 2 == shape[1] % 2 == 0
    assert (pictures[0] != pictures[2]).any()


def test_all_frames_are_on_one_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    draw = animation.draw_filled

    def watched(ax: Any, field: Field, shading: Any) -> Any:
        seen.append(shading)
        return draw(ax, field, shading)

    monkeypatch.setattr(animation, "draw_filled", watched)
    list(frame_pictures(frames()[:2], titles=["a", "b"]))
    assert seen[0] is seen[1]
    assert (seen[0].low, seen[0].high) == pytest.approx((0.5, 3 * bowl().max()))


def test_a_gif_has_every_frame_and_a_caption_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: list[np.ndarray]
) -> None:
    monkeypatch.setattr(animation, "frame_pictures", lambda *_, **__: pictures)
    monkeypatch.setattr(animation, "movie_endings", lambda: ("gif",))
    written = save_movie(frames(), tmp_path / "movie", titles=["a", "b", "c"], caption="said")
    assert [path.name for path in written] == ["movie.gif", "movie.txt"]
    assert written[1].read_text(encoding="utf-8") == "said\n"
    with Image.open(written[0]) as gif:
        assert gif.n_frames == 3  # type: ignore[attr-defined]
        assert gif.size == pictures[0].shape[1::-1]
        first = np.asarray(gif.convert("RGB")).astype(int)
    assert np.abs(first - pictures[0][..., :3]).mean() < 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["movie.gif", "movie.txt"]


def test_titles_must_be_as_many_as_frames() -> None:
    with pytest.raises(ValueError, match="`titles` must hold one for each of the 3 frames, got 1"):
        list(frame_pictures(frames(), titles=["a"]))


def test_without_ffmpeg_there_is_a_gif_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, endings in ((False, ("gif",)), (True, ("gif", "mp4"))):
        monkeypatch.setattr(animation.FFMpegWriter, "isAvailable", lambda there=there: there)
        assert movie_endings() == endings
