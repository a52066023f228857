"""Attention rollout: how much of each patch arrives at what a transformer's output reads."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from gradscape._names import unknown_name
from gradscape.explain.attention_map import AttentionMap

__all__ = ["attention_rollout"]

_FUSIONS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "max": np.max, "min": np.min}


def attention_rollout(
    maps: Mapping[str, AttentionMap],
    *,
    class_token: bool | None = None,
    head_fusion: str = "mean",
    discard_ratio: float = 0.0,
) -> np.ndarray:
    """Return how much of each patch of an image arrives at what the output reads, through all blocks of a transformer.

    With A the mean of a block's weights over its heads, and the identity for its shortcut::

        rollout = Â_L … Â_2 Â_1        Â = (A + I), every row divided by its sum

    Of it the rows of those tokens are averaged that the output reads after the last block, as `attention_maps` has
    measured: the class token's where it reads that, the patches' where it averages them.

    Source: Abnar and Zuidema, "Quantifying Attention Flow in Transformers", 2020, arXiv:2005.00928, section 3, for the
    mean; Gildenblat, "Exploring Explainability for Vision Transformers", 2020, for the other fusions and what is
    discarded.

    Args:
        maps: What `attention_maps` gave; the affinities count, in their order.
        class_token: Whether the first token's row is shown (True) or the mean of the patches' rows (False); None for
            what was measured.
        head_fusion: What A is of the heads' weights: their "mean", "max" or "min".
        discard_ratio: Which share of the entries of A, the lowest of each block and image, is set to zero.

    Returns:
        (N, h, w) float32, the patches' shares; together with those of the class token and other tokens they sum to one.

    Raises:
        ValueError: If there is no affinity, if blocks attend whose weights are not among the maps, if they are not all
            between the same tokens, whose patches form a grid, if it is not known which tokens the output reads, or an
            option is unknown or out of range.
    """
    if head_fusion not in _FUSIONS:
        raise unknown_name("head_fusion", head_fusion, _FUSIONS)
    if not 0 <= discard_ratio < 1:
        raise ValueError(f"`discard_ratio` must be at least 0 and less than 1, got {discard_ratio}")
    affinities = [one for one in maps.values() if one.kind == "affinity"]
    grid, tokens = _common_tokens(affinities)
    patches = grid[0] * grid[1]
    rows = _shown_rows(affinities[-1], patches, class_token=class_token)
    rollout = np.eye(tokens)
    for one in affinities:
        mixed = _fused(one.values, head_fusion, discard_ratio) + np.eye(tokens)
        rollout = mixed / mixed.sum(-1, keepdims=True) @ rollout
    row = rollout[:, rows[0]] if len(rows) == 1 else rollout[:, rows].mean(1)
    return row[:, -patches:].reshape(-1, *grid).astype(np.float32)


def _common_tokens(affinities: Sequence[AttentionMap]) -> tuple[tuple[int, int], int]:
    """The grid and the number of the tokens between which all blocks attend."""
    if not affinities:
        raise ValueError("`maps` must hold affinities of self-attention, but holds none; take them of a transformer")
    first = affinities[0]
    if first.left_out:
        attending = len(affinities) + len(first.left_out)
        raise ValueError(
            f"`maps` must hold the weights of all {attending} modules that attend, but holds those of "
            f"{len(affinities)} alone, and not of {', '.join(first.left_out[:3])}{' …' * (len(first.left_out) > 3)}, "
            "which attend within pieces of the image, between channels, or otherwise; rollout goes through all of them"
        )
    tokens = first.values.shape[-1]
    for one in affinities:
        if one.values.shape[-2:] != (tokens, tokens) or one.grid is None or one.grid != first.grid:
            raise ValueError(
                f"`maps` must hold affinities between the same tokens in all blocks, laid out as a grid; {one.name} is "
                f"{one.values.shape[-2]} × {one.values.shape[-1]} with the grid {one.grid}, {first.name} is "
                f"{first.values.shape[-2]} × {tokens} with {first.grid}"
            )
    assert first.grid is not None
    return first.grid, tokens


def _shown_rows(last: AttentionMap, patches: int, *, class_token: bool | None) -> list[int]:
    """The tokens whose rows are averaged."""
    tokens = last.values.shape[-1]
    every_patch = list(range(tokens - patches, tokens))
    if class_token is not None:
        if class_token and patches == tokens:
            raise ValueError(f"`class_token` must be False or None: all {tokens} tokens are patches, there is none")
        return [0] if class_token else every_patch
    if patches == tokens:
        return every_patch
    read = set(last.read or ())
    if read and max(read) < tokens - patches:
        return sorted(read)
    if read == set(every_patch):
        return every_patch
    found = "it is not known which tokens the output reads"
    if read:
        found = f"the output reads {_listed(sorted(read))} of {tokens} tokens, not only those before the patches"
    raise ValueError(
        f"`class_token` must say which rows to show, since {found}: True for the first token's, False for the mean of "
        f"the last {patches}, the patches"
    )


def _listed(numbers: Sequence[int]) -> str:
    return f"number {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)}"


def _fused(
    weights: Float[np.ndarray, "batch heads tokens tokens"], head_fusion: str, discard_ratio: float
) -> Float[np.ndarray, "batch tokens tokens"]:
    """One matrix of all heads, without its lowest entries."""
    fused = _FUSIONS[head_fusion](weights.astype(np.float64), axis=1)
    count = int(discard_ratio * fused[0].size)
    if count:
        flat = fused.reshape(len(fused), -1)
        np.put_along_axis(flat, np.argsort(flat, axis=1, kind="stable")[:, :count], 0, axis=1)
    return fused
