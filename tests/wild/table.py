"""Make docs/in_the_wild.md: judge every network, in two processes.

python -m tests.wild.table
"""

from collections import Counter
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import torch

from tests.wild.attempt import Verdict
from tests.wild.networks import NETWORKS, REFUSED
from tests.wild.plain_heatmaps import METHODS
from tests.wild.verdict import Judged, judge

__all__ = ["page"]

PAGE = Path(__file__).parents[2] / "docs" / "in_the_wild.md"

_HEAD = """# In the wild

Made by `python -m tests.wild.table` with {versions}; `make test-wild` asserts it, and `.ci/run` a tenth of it.

Networks that gradscape was not built with: one of every module of torchvision's and timm's models, the smallest or cut
in depth, twelve of transformers', and twelve small ones with what a tool could overlook. All have random weights.

- **Landscape**: four points of a surface and four of a line, on two images or more, against a plain loop that adds up
  state dicts and loads them into another copy of the network. A loss may differ by 3 · 10⁻⁶ of itself, or, where that
  is more, by three times what changing the last bit of each weight does; each network's losses differ from one another
  by at least 100 times as much, so that weights that stay in place would be seen.
- **Heatmaps**: {methods} of two images at the layer that gradscape finds, against the
  methods' equations in loops. Where a family puts its places is written by hand in `tests/wild/`. "—": nowhere, in
  several grids, or in an order that nobody has written down.
- Both times all tensors, modes and hooks of the network are compared with those before, to the bit.

*Refused* is one sentence that names an argument. Anything else, a traceback too, is *wrong*.

"""


def page(judged: list[Judged]) -> str:
    """The page in Markdown."""
    packages = ("torch", "torchvision", "timm", "transformers")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    parts = [_HEAD.format(versions=versions, methods=", ".join(METHODS)), *_counts(judged)]
    refused = [one for one in judged if one.word == "refused"]
    parts += ["\n## What is refused, and why it cannot be right\n\n"] if refused else []
    for one in refused:
        said = next(verdict.said for verdict in (one.landscape, one.heatmaps) if verdict.word == "refused")
        parts.append(f"- **{one.name}**: “{said}” {REFUSED.get(one.name, '')}\n")
    parts.append("\n## Every network\n\n| network | module | landscape | heatmaps | at |\n|---|---|---|---|---|\n")
    parts += [_row(one) for one in judged]
    return "".join(parts)


def _counts(judged: list[Judged]) -> list[str]:
    rows = ["| | networks | right | refused | wrong | heatmaps compared |\n|---|---|---|---|---|---|\n"]
    for source in ("torchvision", "timm", "transformers", "own"):
        some = [one for one in judged if one.name.startswith(f"{source} ")]
        words = Counter(one.word for one in some)
        compared = sum(one.heatmaps.word == "right" for one in some)
        cells = (source, len(some), words["right"], words["refused"], words["wrong"], compared)
        rows.append("| " + " | ".join(map(str, cells)) + " |\n")
    return rows


def _row(one: Judged) -> str:
    _, _, name = one.name.partition(" ")
    layer = f"`{one.layer}`" if one.layer else ""
    return f"| {name} | {one.family} | {_cell(one.landscape)} | {_cell(one.heatmaps)} | {layer} |\n"


def _cell(verdict: Verdict) -> str:
    if verdict.word == "wrong":
        return f"**wrong**: {' '.join(verdict.said.split())}"
    return "—" if verdict.word == "not compared" else verdict.word


def _judge_named(name: str) -> Judged:
    torch.set_num_threads(1)
    return judge(NETWORKS[name])


def main() -> None:
    """Judge, say each verdict at once, and write the page."""
    judged = []
    # Not concurrent.futures: its workers are not always replaced after their last task, and it waits for ever.
    with get_context("spawn").Pool(2, maxtasksperchild=20) as pool:
        for one in pool.imap(_judge_named, NETWORKS, chunksize=1):
            judged.append(one)
            print(f"{len(judged)} of {len(NETWORKS)}: {one.name}: {one.word}", flush=True)  # noqa: T201
    PAGE.write_text(page(judged), encoding="utf-8")


if __name__ == "__main__":
    main()
