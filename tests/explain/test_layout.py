from typing import Any

import pytest
import torch

from gradscape.explain.layout import Layout, as_maps, check_layout


def _tokens() -> torch.Tensor:
    return torch.rand(2, 9, 5)


@pytest.mark.parametrize(
    ("extra", "places"),
    [((0, 1, 2), range(3, 9)), (range(-3, 0), range(6)), ((3,), (0, 1, 2, 4, 5, 6, 7, 8)), ((0, -1), range(1, 8))],
)
def test_extra_tokens_may_stand_anywhere(extra: Any, places: Any) -> None:
    tokens = _tokens()
    numbers = list(places)
    maps = as_maps(tokens, Layout(grid=(1, len(numbers)), extra=extra))
    assert torch.equal(maps[:, :, 0], tokens[:, numbers].movedim(1, 2))


@pytest.mark.parametrize(
    ("order", "dimensions"), [("batch_first", (0, 1, 2)), ("sequence_first", (1, 0, 2)), ("channels_first", (0, 2, 1))]
)
def test_tokens_may_have_their_dimensions_in_any_usual_order(order: Any, dimensions: tuple[int, ...]) -> None:
    tokens = _tokens()
    layout = Layout(grid=(2, 4), extra=(0,), tokens=order)
    right = as_maps(tokens, Layout(grid=(2, 4), extra=(0,)))
    assert torch.equal(as_maps(tokens.permute(dimensions), layout), right)


def test_places_may_come_in_any_order() -> None:
    tokens = _tokens()
    maps = as_maps(tokens, Layout(grid=(2, 2), places=(8, 1, 3, 2)))
    assert torch.equal(maps[1, :, 1, 0], tokens[1, 3])


def test_words_and_functions_lead_to_maps() -> None:
    last = torch.rand(2, 4, 6, 24)
    assert torch.equal(as_maps(last, "channels_last"), last.permute(0, 3, 1, 2))
    assert as_maps(last, "channels_first") is last
    assert torch.equal(as_maps(last, lambda output: output[:, 1:].movedim(3, 1)), last[:, 1:].permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (Layout(grid=(3, 3), extra=(0,)), "of its 9 tokens 8 are places, and the grid has 3·3"),
        (Layout(grid=(1, 2), places=(3, 9)), "must fit the layer"),
        (lambda output: output[0], r"`layout` must give maps \(N, C, h, w\), got the shape \(9, 5\)"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(layout: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_maps(_tokens(), layout)


def test_tokens_have_three_dimensions() -> None:
    with pytest.raises(ValueError, match="lays out tokens, in three dimensions"):
        as_maps(torch.rand(2, 3, 4, 5), Layout(grid=(1, 3)))


def test_what_is_no_layout_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`layout` must be 'channels_first' .* got 'nhwc'"):
        check_layout("nhwc")
    with pytest.raises(TypeError, match="got int"):
        check_layout(3)
    with pytest.raises(TypeError, match="as a tensor, got float"):
        as_maps(_tokens(), lambda _: 0.5)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": (2, 0)}, "`grid` must be the number of rows and columns"),
        ({"grid": (2, 2), "places": (1, 2)}, "`places` must number the 2·2 tokens"),
        ({"grid": (1, 2), "places": (1, 2), "extra": (0,)}, "stands instead of `extra`"),
    ],
)
def test_a_layout_that_contradicts_itself_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Layout(**options)
