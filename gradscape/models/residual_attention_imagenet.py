"""Residual attention networks for ImageNet: Wang, Jiang, Qian, Yang, Li, Zhang, Wang and Tang, 2017.

"Residual Attention Network for Image Classification", arXiv:1704.06904. With AttentionNeXt and AttentionInception,
which have other units.

Differs from the paper, following the authors' published network descriptions (Caffe) where they say more:

- Projections see the normalized and rectified input of their unit, as do the two 1×1 convolutions of a mask.
- Stage 3's masks have two residual units at their lowest size, as the others have.
- Attention-92 has more parameters and multiply-adds than table 2 prints (52.5 instead of 51.3 million, 10.5 instead of
  10.4 billion); Attention-56 has those of table 2 if the running statistics are counted as parameters.
- AttentionNeXt-56 has fewer parameters (31.3 million) than table 6 prints, which are Attention-56's; its units
  normalize and rectify after their convolutions, and so does a mask after the first of its 1×1 convolutions.
- No description of AttentionInception-56 is published, and the numbers in its row of table 6 are Attention-56's: its
  units are chosen here (see `gradscape.models.residual_units.InceptionUnit`), everything else is AttentionNeXt's.
- Poolings pad even sizes at their end alone, as Caffe does, and odd sizes on both sides, where Caffe pads none. At 224
  pixels all sizes are even.
- Any image size: masks are upsampled to the sizes that were pooled, and the last map is averaged as a whole.
"""

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor, nn

from gradscape.models.residual_attention import AttentionModule, create_tail
from gradscape.models.residual_units import UnitKind, UnitStyle, create_unit
from gradscape.models.staged import StagedNetwork

__all__ = ["ResidualAttentionImageNet"]

MODULES = {56: (1, 1, 1), 92: (1, 2, 3)}
WIDTHS = (256, 512, 1024)
TAIL_WIDTH = 2048
STYLE = UnitStyle(bias=False, eps=1e-5, momentum=0.1, activated=True, pool_padding="tensorflow", upsampling="bilinear")


class ResidualAttentionImageNet(StagedNetwork):
    """The paper's network: stem, three stages of a residual unit and attention modules, a tail of residual units.

    Source: table 2, section 3 for `p`, `t` and `r`, section 4.2 for the units; the authors' published network
    descriptions.

    Args:
        depth: Weighted layers along the trunk if p and t are 1 and 2 and the units residual or aggregated: 56 or 92.
        num_classes: Number of classes.
        unit: Kind of all units: `"residual"`, `"aggregated"` (AttentionNeXt) or `"inception"` (AttentionInception).
        p: As in `gradscape.models.residual_attention.ResidualAttentionNetwork`.
        t: As there.
        r: As there.

    Raises:
        ValueError: If the depth is neither of these, or a number of units is not positive.
    """

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 1000,
        unit: UnitKind = "residual",
        p: int = 1,
        t: int = 2,
        r: int = 1,
    ) -> None:
        super().__init__()
        if depth not in MODULES:
            known = ", ".join(map(str, MODULES))
            raise ValueError(
                f"`depth` of a residual attention network for ImageNet must be one of {known}, got {depth}"
            )
        style = replace(STYLE, kind=unit)

        def stage(index: int, channels: int) -> nn.Sequential:
            filters = WIDTHS[index]
            first = create_unit(channels, filters, stride=1 if index == 0 else 2, style=style)
            modules = (
                AttentionModule(filters, filters, poolings=3 - index, p=p, t=t, r=r, style=style)
                for _ in range(MODULES[depth][index])
            )
            return nn.Sequential(first, *modules)

        self.stem = nn.Sequential(nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), *style.activate(64), style.pool())
        self.stages = nn.ModuleList([stage(0, 64), stage(1, WIDTHS[0]), stage(2, WIDTHS[1])])
        self.tail = create_tail(WIDTHS[2], TAIL_WIDTH, stride=2, style=style)
        self.head = nn.Linear(TAIL_WIDTH, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def feature_maps(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """Return the maps that lead to the classifier; see `StagedNetwork.feature_maps`."""
        maps = super().feature_maps(images)
        return [*maps, self.tail(maps[-1])]

    def _last_map(self, images: Tensor) -> Tensor:
        x = super()._last_map(images)  # 256 channels, 1/4; 512, 1/8; 1024, 1/16
        return self.tail(x)  # 2048, 1/32
