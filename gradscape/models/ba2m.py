"""BA²M: Cheng, Li, Wu and Ngan, "BA²M: A Batch Aware Attention Module for Image Classification", 2021.

arXiv:2103.15099.

Differs from the paper, of which no code is published:

- The attentions start small: their norms scale by 1/8, and A_GS of `layout="equations"`, which has none, by zero. From
  usual random weights the softmax collapses on one image within a few stages, and training on digits does not begin:
  an image that weighs more has larger features, which stand out of the next stage's normalized batch by up to √N
  deviations, and so weighs still more there. What scales by zero throughout never comes to act. So that little is
  enough, the channels start agreed: the last weights of A_C and A_LS are not negative, or the mean over the channels
  would level out what they say, the more the wider they are.
- The weights of a batch are multiplied by its size, so that their mean is one: `scale_by_batch`. By equation 11 alone
  they shrink every feature by the batch size in training and none in evaluation. The next stage's running statistics
  then do not fit, and the batch size of an evaluation changes its result, which the paper denies.
- In evaluation every image has the mean weight of a training batch: one, or 1/N without `scale_by_batch`, with N of the
  largest batch trained on: an epoch's last batch is often a smaller one. This is the paper's module "deactivated", and
  no image's output depends on the others. `evaluation="batch"` is the module activated, as in section III-D: it weighs
  the images of the batch that it is given, and what judges images one by one refuses such a network.
- The printed sizes contradict one another (the same four widths cost ResNet-18 0.59 million parameters and ResNet-34
  0.12 million). `layout="equations"`, the default, is what equations 6 to 9 and 16 say. `layout="table"` has the
  printed size of ResNet-50 for CIFAR-100 and of ResNet-34 for ImageNet. It takes the text's "divided in channel for R
  groups" for local attention too, a bias in every layer, a batch normalization on all three branches, and section
  IV-D4's minimum of 32 channels.
- Groups are the largest number up to R that divides the channels, so that any number of channels will do.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._journal import undone
from gradscape._taps import Tap
from gradscape.models.sites import Host, attend_branches, attend_stages, sites_of_stages

__all__ = ["BA2M", "acting_in_evaluation", "attach_ba2m"]

Branch = Literal["channel", "local", "global"]
Layout = Literal["equations", "table"]
Evaluation = Literal["image", "batch"]

_BRANCHES: tuple[Branch, ...] = get_args(Branch)
_START = 0.125


class BA2M(nn.Module):
    """Batch aware attention: a weight for each image of a training batch.

    For an image's features x of C channels, in g groups of C/g channels, GAP being the mean over the pixels::

        A_C  = BN(FC₁(FC₀(GAP(x))))                              C → C/g → C
        A_LS = BN(conv1×1(conv3×3(conv1×1(x))))                  C → C/g → C/g → C
        A_GS = softmax(f(x) g(x)ᵀ) h(x)                          in every group, with the same 1×1 convolutions f, g, h
        SAR  = mean over the channels of max(A_C, GAP(A_LS), GAP(A_GS))
        w    = softmax of SAR over the batch [× N]
        out  = w x                                               in training, and in evaluation the mean of w times x

    There g is R where R divides C. With `layout="table"` groups have 32 channels or more, the convolutions of A_LS lead
    from a group's channels to as many and serve every group, all layers have a bias, and A_GS ends with a BN.

    In evaluation the attention is computed only while one of its taps is observed, and does not change the output. With
    `evaluation="batch"` the output is w x there too, with the norms' running statistics: an image's output then depends
    on the others in its batch, so that landscapes, heatmaps and embeddings refuse the network by `check_images_apart`.

    Source: equations 6 to 13 and figure 2.

    Args:
        channels: Channels C of x.
        reduction: Number of groups R; channels to one between FC₀ and FC₁.
        branches: Which of `"channel"`, `"local"` and `"global"` the maximum is over (table IX).
        layout: `"equations"` or `"table"`; see the module's docstring.
        scale_by_batch: Whether the bracket is there. Without it a buffer `batch_share` keeps 1/N for evaluation, of the
            largest batch trained on.
        evaluation: `"image"`, each by itself, or `"batch"`.

    Raises:
        ValueError: If the reduction is not positive, or `branches` is empty or names another one.
    """

    batch_share: Tensor

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 32,
        branches: Collection[str] = _BRANCHES,
        layout: Layout = "equations",
        scale_by_batch: bool = True,
        evaluation: Evaluation = "image",
    ) -> None:
        super().__init__()
        if reduction < 1:
            raise ValueError(f"`reduction` must be positive, got {reduction}")
        if not branches or not set(branches) <= set(_BRANCHES):
            raise ValueError(f"`branches` must be one or more of {', '.join(_BRANCHES)}; got {branches!r}")
        table = layout == "table"
        self.groups = _divisor(channels, min(reduction, channels // 32 if table else channels))
        self.grouped, self.scale_by_batch, self.evaluation = table, scale_by_batch, evaluation
        width = channels // self.groups
        self.before = Tap("before")
        if "channel" in branches:
            self.channel = Tap("channel")
            self.fc = nn.Sequential(nn.Linear(channels, width, bias=table), nn.Linear(width, channels, bias=table))
            self.fc_norm = nn.BatchNorm1d(channels)
        if "local" in branches:
            self.local_spatial = Tap("mask")
            self.convolutions = _spindle(width if table else channels, width, bias=table)
            self.convolutions_norm = nn.BatchNorm2d(channels)
        if "global" in branches:
            self.global_spatial, self.affinity = Tap("mask"), Tap("affinity")
            self.query, self.key, self.value = (nn.Linear(width, width, bias=table) for _ in range(3))
            self.global_norm = nn.BatchNorm2d(channels) if table else nn.Identity()
        self.branches = tuple(branch for branch in _BRANCHES if branch in branches)
        self.batch_weights = Tap("batch weights", word="batch weight")
        self.result = Tap("result")
        if not scale_by_batch:
            self.register_buffer("batch_share", torch.ones(()))
        self._start_small()

    @property
    def binds_images(self) -> bool:
        """Whether an image's output depends on the others of its batch in evaluation; `check_images_apart` asks."""
        return self.evaluation == "batch"

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Weigh the images of a batch; see the class.

        Args:
            x: Features.
        """
        x = self.before(x)
        if self.training and not self.scale_by_batch:
            self.batch_share.clamp_(max=1 / x.shape[0])
        if self.training or self.binds_images:
            return self.result(x * self._weigh(x).view(-1, 1, 1, 1))
        if self._observed():
            self._weigh(x)
        return self.result(x if self.scale_by_batch else x * self.batch_share)

    @torch.no_grad()
    def _start_small(self) -> None:
        """Weights a little apart, whatever the width; see the module's docstring."""
        for last, norm in (("fc.1", "fc_norm"), ("convolutions.2", "convolutions_norm")):
            if hasattr(self, norm):
                self.get_parameter(f"{last}.weight").abs_()
                self.get_parameter(f"{norm}.weight").fill_(_START)
        if "global" in self.branches and self.grouped:
            self.get_parameter("global_norm.weight").fill_(_START)
        elif "global" in self.branches:
            self.value.weight.zero_()

    def _observed(self) -> bool:
        taps = (tap for tap in self.children() if isinstance(tap, Tap) and tap.kind not in ("before", "result"))
        return any(tap.observed for tap in taps)

    def _weigh(self, x: Tensor) -> Tensor:
        """From a batch to the weights of its images, (N,)."""
        attend = {"channel": self._attend_channels, "local": self._attend_locally, "global": self._attend_globally}
        strongest = torch.stack([attend[branch](x) for branch in self.branches]).amax(0)
        weights = strongest.mean(1).softmax(0)
        return self.batch_weights(weights * x.shape[0] if self.scale_by_batch else weights)

    def _attend_channels(self, x: Tensor) -> Tensor:
        return self.channel(self.fc_norm(self.fc(x.mean((2, 3)))))

    def _attend_locally(self, x: Tensor) -> Tensor:
        groups = x.unflatten(1, (self.groups, -1)).flatten(0, 1) if self.grouped else x
        convolved = self.convolutions(groups).reshape(x.shape)
        return self.local_spatial(self.convolutions_norm(convolved)).mean((2, 3))

    def _attend_globally(self, x: Tensor) -> Tensor:
        pixels = x.unflatten(1, (self.groups, -1)).flatten(3).transpose(2, 3)  # (batch, groups, pixels, C/g)
        query, key, value = self.query(pixels), self.key(pixels), self.value(pixels)
        if self.affinity.observed:
            mixed = self.affinity((query @ key.transpose(2, 3)).softmax(3)) @ value
        else:  # The same without the pixels × pixels matrices: at 56 × 56 pixels they are 1.2 GB an image.
            mixed = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        mixed = mixed.transpose(2, 3).reshape(x.shape)
        return self.global_spatial(self.global_norm(mixed)).mean((2, 3))


def _divisor(number: int, most: int) -> int:
    """The largest divisor up to `most`, and one at least."""
    return max((divisor for divisor in range(1, most + 1) if number % divisor == 0), default=1)


def _spindle(channels: int, width: int, *, bias: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 1, bias=bias),
        nn.Conv2d(width, width, 3, padding=1, bias=bias),
        nn.Conv2d(width, channels, 1, bias=bias),
    )


def attach_ba2m(
    host: Host,
    *,
    stages: tuple[int, ...] = (),
    place: Literal["between", "inside"] = "between",
    reduction: int = 32,
    branches: tuple[Branch, ...] = _BRANCHES,
    layout: Layout = "equations",
    scale_by_batch: bool = True,
    evaluation: Evaluation = "image",
) -> None:
    """Add BA²M to stages.

    Args:
        host: Where it goes.
        stages: Numbers of the stages, from 1; none given means all.
        place: "between" puts it after the last block of a stage, "inside" on the residual branch of all its blocks.
        reduction: As in `BA2M`.
        branches: As in `BA2M`.
        layout: As in `BA2M`.
        scale_by_batch: As in `BA2M`.
        evaluation: As in `BA2M`.
    """

    def module(channels: int) -> nn.Module:
        return BA2M(
            channels,
            reduction=reduction,
            branches=branches,
            layout=layout,
            scale_by_batch=scale_by_batch,
            evaluation=evaluation,
        )

    if place == "between":
        attend_stages(host.network, host.sites, "ba2m", lambda site: module(site.output.channels), stages=stages)
    else:
        inside = [site for stage in sites_of_stages(host.network, host.sites, "ba2m", stages) for site in stage]
        attend_branches(inside, "ba2m", lambda site: module(site.branch.channels))


@contextmanager
def acting_in_evaluation(network: nn.Module) -> Iterator[None]:
    """Inside, every BA²M of a network weighs images in evaluation too, as with `evaluation="batch"`.

    A trained network becomes that of the paper's experiment with 1 to 256 images at once; afterwards it is as before.

    Args:
        network: Any with BA²M in it.

    Raises:
        ValueError: If there is none.

    Source: Section III-D.

    Example:
        >>> from gradscape.models import create_model
        >>> net = create_model("resnet20+ba2m", image_size=8).eval()
        >>> with acting_in_evaluation(net):
        ...     logits = net(torch.randn(16, 3, 8, 8))
    """
    modules = [module for module in network.modules() if isinstance(module, BA2M)]
    if not modules:
        raise ValueError(f"`network` must have BA²M in it, but this {type(network).__name__} has none; add `+ba2m`")
    before = [module.evaluation for module in modules]

    def put_back() -> None:
        for module, evaluation in zip(modules, before, strict=True):
            module.evaluation = evaluation

    with undone(put_back):
        for module in modules:
            module.evaluation = "batch"
        yield
