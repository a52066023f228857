from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from timm import create_model as create_timm
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.explain.attention import attention_maps
from gradscape.explain.attention_map import AttentionMap
from gradscape.explain.rollout import attention_rollout
from tests.explain.test_features import images, untouched
from tests.explain.test_foreign_attention import small_vit


def random_maps(blocks: int = 3, tokens: int = 7, read: tuple[int, ...] | None = (0,)) -> dict[str, AttentionMap]:
    generator = np.random.default_rng(0)
    maps = {}
    for number in range(blocks):
        weights = generator.random((2, 4, tokens, tokens)).astype(np.float32)
        weights /= weights.sum(3, keepdims=True)
        maps[str(number)] = AttentionMap(str(number), "", "affinity", weights, (2, 3), read)
    return maps


def plain_rollout(maps: Mapping[str, AttentionMap], fusion: str, discard: float) -> np.ndarray:
    """The whole matrices (N, tokens, tokens), entry by entry."""
    first = next(iter(maps.values())).values
    products = []
    for image in range(len(first)):
        product = np.eye(first.shape[2])
        for one in maps.values():
            step = np.zeros(first.shape[2:])
            for row, column in np.ndindex(*step.shape):
                heads = [float(one.values[image, head, row, column]) for head in range(first.shape[1])]
                step[row, column] = {"mean": sum(heads) / len(heads), "max": max(heads), "min": min(heads)}[fusion]
            ranked = sorted(np.ndindex(*step.shape), key=lambda place: step[place])
            for place in ranked[: int(discard * step.size)]:
                step[place] = 0
            for row in range(len(step)):
                step[row, row] += 1
                step[row] /= sum(step[row])
            product = step @ product
        products.append(product)
    return np.array(products)


@pytest.mark.parametrize("fusion", ["mean", "max", "min"])
@pytest.mark.parametrize("discard", [0.0, 0.3, 0.9])
def test_rollout_is_the_product_of_the_blocks_written_out(fusion: str, discard: float) -> None:
    maps = random_maps()
    expected = plain_rollout(maps, fusion, discard)[:, 0, 1:].reshape(2, 2, 3)
    shown = attention_rollout(maps, head_fusion=fusion, discard_ratio=discard)
    np.testing.assert_allclose(shown, expected, rtol=1e-5, atol=1e-9)
    assert (shown.sum((1, 2)) < 1).all()


def test_rollout_changes_nothing_in_the_maps() -> None:
    maps = random_maps()
    before = {name: one.values.copy() for name, one in maps.items()}
    attention_rollout(maps, discard_ratio=0.5)
    for name, one in maps.items():
        np.testing.assert_array_equal(one.values, before[name])


def test_rollout_without_a_class_token_is_the_mean_over_the_patches_and_sums_to_one() -> None:
    uniform = AttentionMap("a", "", "affinity", np.full((2, 4, 6, 6), 1 / 6, np.float32), (2, 3))
    np.testing.assert_allclose(attention_rollout({"a": uniform}), np.full((2, 2, 3), 1 / 6), rtol=1e-6)
    with pytest.raises(ValueError, match="`class_token` must be False or None: all 6 tokens are patches"):
        attention_rollout({"a": uniform}, class_token=True)


def test_the_rows_that_the_output_reads_are_averaged() -> None:
    whole = plain_rollout(random_maps(tokens=8), "mean", 0)
    for read, rows in {(0,): [0], (1,): [1], (0, 1): [0, 1], (2, 3, 4, 5, 6, 7): [2, 3, 4, 5, 6, 7]}.items():
        expected = whole[:, rows, 2:].mean(1).reshape(2, 2, 3)
        np.testing.assert_allclose(attention_rollout(random_maps(tokens=8, read=read)), expected, rtol=1e-5)


@pytest.mark.parametrize("read", [None, (7,), (0, 2, 3, 4, 5, 6, 7), tuple(range(8))])
def test_where_it_is_not_clear_what_is_read_an_argument_is_asked_for(read: tuple[int, ...] | None) -> None:
    maps = random_maps(tokens=8, read=read)
    with pytest.raises(ValueError, match="`class_token` must say which rows to show"):
        attention_rollout(maps)
    whole = plain_rollout(maps, "mean", 0)
    np.testing.assert_allclose(attention_rollout(maps, class_token=True), whole[:, 0, 2:].reshape(2, 2, 3), rtol=1e-5)
    np.testing.assert_allclose(
        attention_rollout(maps, class_token=False), whole[:, 2:, 2:].mean(1).reshape(2, 2, 3), rtol=1e-5
    )


def test_rollout_needs_the_same_tokens_in_all_blocks() -> None:
    first = AttentionMap("first", "", "affinity", np.full((2, 4, 6, 6), 1 / 6, np.float32), (2, 3))
    other = AttentionMap("other", "", "affinity", np.full((2, 4, 4, 4), 1 / 4, np.float32), (2, 2))
    with pytest.raises(ValueError, match=r"between the same tokens .*; other is 4 × 4 with the grid \(2, 2\), first"):
        attention_rollout({"first": first, "other": other})
    with pytest.raises(ValueError, match="must hold affinities of self-attention, but holds none"):
        attention_rollout({})


@pytest.mark.parametrize("options", [{"head_fusion": "median"}, {"discard_ratio": 1.0}, {"discard_ratio": -0.1}])
def test_an_option_that_does_not_exist_is_refused_by_its_name(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(options))}`"):
        attention_rollout(random_maps(), **options)


def test_rollout_of_a_real_transformer_has_a_map_for_each_image() -> None:
    maps = attention_maps(small_vit(), images(width=32))
    assert {one.read for one in maps.values()} == {(0,)}
    rollout = attention_rollout(maps)
    assert rollout.shape == (3, 4, 4)
    assert rollout.dtype == np.float32
    assert (rollout > 0).all()
    np.testing.assert_allclose(rollout, plain_rollout(maps, "mean", 0)[:, 0, 1:].reshape(3, 4, 4), rtol=1e-5)


class TokensLast(nn.Module):
    """Maps as tokens with their channels last."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.flatten(2).mT


class Both(nn.Module):
    """Two networks whose outputs are added."""

    def __init__(self, whole: nn.Module, pieces: nn.Module) -> None:
        super().__init__()
        self.whole, self.pieces = whole, pieces

    def forward(self, images: Tensor) -> Tensor:
        return self.whole(images) + self.pieces(images)


class Tokens(nn.Module):
    """Two blocks over patches and extra tokens, and a head that reads what it is told to."""

    def __init__(self, extra: int, read: slice, *, how: str = "fused", zero_head: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.read, self.how = read, how
        self.patches = nn.Conv2d(3, 12, 8, 8)
        self.extra = nn.Parameter(torch.randn(1, extra, 12))
        self.mixes = nn.ModuleList(nn.Linear(12, 36) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 5)
        if zero_head:
            nn.init.zeros_(self.head.weight)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).mT
        tokens = torch.cat([self.extra.expand(len(tokens), -1, -1), tokens], 1)
        for mix in self.mixes:
            query, key, value = mix(tokens).unflatten(2, (3, 3, 4)).permute(2, 0, 3, 1, 4)
            tokens = tokens + self.attend(query, key, value).transpose(1, 2).flatten(2)
        return self.head(self.norm(tokens)[:, self.read].mean(1))

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if self.how == "fused":
            return F.scaled_dot_product_attention(query, key, value, scale=1.0)
        weights = F.dropout((query @ key.mT).softmax(-1, dtype=torch.float32).to(query.dtype), training=self.training)
        if self.how == "product":
            return torch.matmul(weights, value)
        if self.how == "exchanged":
            return (value.mT @ weights.transpose(-1, -2)).mT
        return torch.einsum("nhqk, nhkd -> nhqd", weights, value)


@pytest.mark.parametrize(
    ("extra", "read", "rows"),
    [(1, slice(1), [0]), (3, slice(3, None), [*range(3, 27)]), (4, slice(1), [0]), (2, slice(2), [0, 1])],
)
@pytest.mark.parametrize("zero_head", [False, True])
def test_the_tokens_that_are_read_are_measured(extra: int, read: slice, rows: list[int], *, zero_head: bool) -> None:
    model = Tokens(extra, read, zero_head=zero_head)
    batch = images(height=32, width=48)
    with untouched(model):
        maps = attention_maps(model, batch)
    assert [one.read for one in maps.values()] == [tuple(rows)] * 2
    expected = plain_rollout(maps, "mean", 0)[:, rows, extra:].mean(1).reshape(3, 4, 6)
    np.testing.assert_allclose(attention_rollout(maps), expected, rtol=1e-5)


@pytest.mark.parametrize("how", ["product", "exchanged", "einsum"])
def test_attention_that_is_written_out_shows_the_weights_of_the_fused_one(how: str) -> None:
    batch = images(height=32, width=48)
    fused = attention_maps(Tokens(1, slice(1)), batch)
    written = attention_maps(Tokens(1, slice(1), how=how), batch)
    assert list(written) == list(fused)
    for name, one in written.items():
        np.testing.assert_allclose(one.values, fused[name].values, rtol=1e-5, atol=1e-7)
        assert one.read == (0,)


def test_a_softmax_that_weighs_no_values_is_no_attention() -> None:
    class Gated(nn.Sequential):
        def forward(self, images: Tensor) -> Tensor:
            features = super().forward(images)
            return (features.softmax(-1) * features).mean((2, 3)) @ features.new_ones(4, 2)

    with pytest.raises(ValueError, match=r"has none$"):
        attention_maps(Gated(nn.Conv2d(3, 4, 3)), images())


def test_attention_within_pieces_is_named_and_rollout_of_the_other_blocks_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Pieces(Tokens):
        def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            halves = [one.unflatten(2, (2, -1)).movedim(2, 0).flatten(0, 1) for one in (query, key, value)]
            return F.scaled_dot_product_attention(*halves).unflatten(0, (2, -1)).movedim(0, 2).flatten(2, 3)

    pieces = Pieces(0, slice(None))
    maps = attention_maps(Both(Tokens(0, slice(None)), pieces), images(height=32, width=48))
    assert list(maps) == ["whole", "whole:2"]
    assert "not shown is the self-attention of pieces (1 modules)" in caplog.text
    with pytest.raises(ValueError, match="of all 3 modules that attend, but holds those of 2 alone, and not of pieces"):
        attention_rollout(maps)
    with pytest.raises(ValueError, match="has none; not shown is the self-attention of"):
        attention_maps(pieces, images(height=32, width=48))


@pytest.mark.parametrize("fused", [True, False])
def test_attention_between_channels_is_not_taken_for_places(*, fused: bool) -> None:
    """Like XCiT's and EdgeNeXt's, of 16 channels by head, which would make a 4 × 4 picture."""

    class Crossed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.Linear(32, 96)

        def forward(self, tokens: Tensor) -> Tensor:
            query, key, value = self.mix(tokens).unflatten(2, (3, 2, 16)).permute(2, 0, 3, 4, 1)
            if fused:
                return F.scaled_dot_product_attention(query, key, value).flatten(1, 2).mT
            return ((query @ key.mT).softmax(-1) @ value).flatten(1, 2).mT

    model = nn.Sequential(OrderedDict(patches=nn.Conv2d(3, 32, 8, 8), tokens=TokensLast(), crossed=Crossed()))
    with pytest.raises(ValueError, match="has none; not shown is the self-attention of crossed"):
        attention_maps(model, images(height=64, width=64))


def test_talking_heads_are_named() -> None:
    """CaiT's mix the weights of several heads before they weigh."""

    class Talking(Tokens):
        def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            weights = (query @ key.mT).softmax(-1)
            return F.linear(weights.permute(0, 2, 3, 1), torch.ones(3, 3)).permute(0, 3, 1, 2) @ value

    maps = attention_maps(Both(Tokens(0, slice(None)), Talking(0, slice(None))), images(height=32, width=48))
    with pytest.raises(ValueError, match="of all 3 modules that attend, but holds those of 2 alone, and not of pieces"):
        attention_rollout(maps)


def test_one_head_over_fewer_keys_is_not_taken_for_channels() -> None:
    """As PVT's first stage: 64 queries of one head with 16 numbers each, and 4 keys."""

    class Reduced(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.Linear(16, 48)

        def forward(self, tokens: Tensor) -> Tensor:
            query, key, value = self.mix(tokens)[:, None].chunk(3, -1)
            return F.scaled_dot_product_attention(query, key[:, :, ::16], value[:, :, ::16])[:, 0]

    model = nn.Sequential(nn.Conv2d(3, 16, 8, 8), TokensLast(), Reduced())
    (one,) = attention_maps(model, images(height=64, width=64)).values()
    assert (one.values.shape, one.left_out) == ((3, 1, 64, 4), ())


def test_timms_cross_covariance_attention_is_refused() -> None:
    torch.manual_seed(0)
    model = create_timm("xcit_nano_12_p16_224", img_size=64, depth=2, num_classes=5).eval()
    try:
        maps = attention_maps(model, images(height=64, width=64))
    except ValueError as error:
        assert "not shown is the self-attention of" in str(error)  # noqa: PT017 (either answer is right)
    else:
        with pytest.raises(ValueError, match="`maps` must hold"):
            attention_rollout(maps)


def test_a_read_out_under_no_grad_is_not_guessed() -> None:
    class Deployed(Tokens):
        @torch.no_grad()
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images)

    maps = attention_maps(Deployed(1, slice(1)), images(height=32, width=48))
    assert {one.read for one in maps.values()} == {None}
    with pytest.raises(ValueError, match="since it is not known which tokens the output reads"):
        attention_rollout(maps)
