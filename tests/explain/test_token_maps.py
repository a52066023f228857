from typing import Any

import pytest

from gradscape.explain.token_maps import find_grid


@pytest.mark.parametrize(
    ("tokens", "size", "grid"),
    [
        (197, (224, 224), (14, 14)),
        (198, (224, 224), (14, 14)),
        (201, (224, 224), (14, 14)),
        (50, (224, 224), (7, 7)),
        (65, (32, 32), (8, 8)),
        (577, (384, 384), (24, 24)),
        (1370, (518, 518), (37, 37)),
        (150, (224, 224), None),
        (3, (224, 224), (1, 1)),
    ],
)
def test_the_grid_of_known_transformers_is_found(tokens: int, size: tuple[int, int], grid: Any) -> None:
    assert find_grid(tokens, size) == grid
