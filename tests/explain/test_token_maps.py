import pytest
import torch

from gradscape.explain.token_maps import as_maps


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((2, 56, 56, 96), (224, 224), (2, 96, 56, 56)),  # Swin-T, first stage: h, w and C are alike
        ((2, 64, 64, 96), (256, 256), (2, 96, 64, 64)),
        ((2, 7, 7, 768), (224, 224), (2, 768, 7, 7)),
        ((2, 4, 5, 8), (9, 12), (2, 4, 5, 8)),  # 4 channels of a map that lost its edges
        ((2, 6, 9, 40), (96, 144), (2, 40, 6, 9)),
        ((2, 56, 56, 56), (224, 224), (2, 56, 56, 56)),
        ((2, 64, 60, 57), (224, 224), (2, 64, 60, 57)),
        ((2, 9, 6, 9), (96, 144), (2, 9, 6, 9)),
        ((2, 512, 1, 1), (32, 32), (2, 512, 1, 1)),
        ((2, 55, 8), (96, 144), (2, 8, 6, 9)),
    ],
)
def test_maps_tokens_and_channels_last_are_told_apart(
    shape: tuple[int, ...], size: tuple[int, int], expected: tuple[int, ...]
) -> None:
    features = torch.randn(shape)
    maps = as_maps(features, size)
    assert maps.shape == expected
    if len(shape) == 4 and shape != expected:
        assert torch.equal(maps[1, 3, 2, 4], features[1, 2, 4, 3])
