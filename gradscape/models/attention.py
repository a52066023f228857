"""Attention by name, as it stands behind the `+` of a model's name.

Each function adds one kind of attention to a network whose blocks it is given; its keyword arguments are the options
that may follow the attention's `@`.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from torch import nn

from gradscape.models.attentions import (
    BAM,
    CBAM,
    AttentionAugmentedConv2d,
    DoubleAttention,
    EfficientChannelAttention,
    GatherExcite,
    GatherExciteTheta,
    GlobalContext,
    NonLocal,
    SelectiveKernel,
    SpatialGroupEnhance,
    SqueezeExcitation,
    SqueezeExcitationGate,
    StandAloneAttention2d,
    StyleRecalibration,
)
from gradscape.models.ba2m import BA2M
from gradscape.models.backbones.densenet import CifarDenseNet
from gradscape.models.backbones.mobilenet_v2 import CifarMobileNetV2, MobileNetV2
from gradscape.models.backbones.preact_resnets import PreactResNet
from gradscape.models.backbones.substitutes import NumberedLayers, Substitute
from gradscape.models.backbones.vgg import CifarVGG16
from gradscape.models.sites import (
    AttendedBlock,
    Site,
    attend_branches,
    attend_stages,
    gate_branches,
    replace_convolutions,
    sites_of_stages,
    spatial_convolution,
)
from gradscape.models.spanet import SpatialPyramidAttention, SpatialPyramidGate
from gradscape.models.ulsam import ULSAM

__all__ = ["ATTENTIONS", "Attach"]

Attach = Callable[..., None]
Sites = Sequence[Site]
_SPANET_SMALL = (CifarDenseNet, CifarMobileNetV2, CifarVGG16, PreactResNet)


def _reduction(network: nn.Module, asked: int | None) -> int:
    """What SPANet's authors take: 8 on ImageNet's narrow MobileNetV2, 3 on a DenseNet's narrow layers, 16 elsewhere."""
    if asked is not None:
        return asked
    return 8 if isinstance(network, MobileNetV2) else 3 if isinstance(network, CifarDenseNet) else 16


def _scales(sites: Sites, image_size: int, asked: tuple[int, ...] | None) -> tuple[int, ...]:
    """What the paper takes: 7, 4, 1 behind a stem that reduces the image, 4, 2, 1 behind one that does not."""
    return asked if asked is not None else ((7, 4, 1) if sites[0].input.height < image_size else (4, 2, 1))


def _spatial_pyramid(
    network: nn.Module,
    sites: Sites,
    image_size: int,
    *,
    scales: tuple[int, ...] | None = None,
    reduction: int | None = None,
) -> None:
    sides, ratio = _scales(sites, image_size, scales), _reduction(network, reduction)
    attend_branches(
        sites, "spa", lambda site: SpatialPyramidAttention(site.branch.channels, scales=sides, reduction=ratio)
    )


def _spatial_pyramid_gate(*, match: bool) -> Attach:
    def attach(
        network: nn.Module,
        sites: Sites,
        image_size: int,
        *,
        scales: tuple[int, ...] | None = None,
        reduction: int | None = None,
    ) -> None:
        sides, ratio = _scales(sites, image_size, scales), _reduction(network, reduction)
        wider = isinstance(network, CifarDenseNet)

        def make(site: Site) -> nn.Module:
            return SpatialPyramidGate(
                site.input.channels, site.branch.channels, scales=sides, reduction=ratio, match=match, wider=wider
            )

        gate_branches(sites, "spa", make)

    return attach


def _squeeze_excitation(
    network: nn.Module, sites: Sites, image_size: int, *, reduction: int | None = None, bias: bool | None = None
) -> None:
    # SPANet's authors leave the biases out in their networks for small images, and nobody else does.
    biased = not isinstance(network, _SPANET_SMALL) if bias is None else bias
    ratio = _reduction(network, reduction)
    attend_branches(sites, "se", lambda site: SqueezeExcitation(site.branch.channels, reduction=ratio, bias=biased))


def _squeeze_excitation_gate(*, match: bool) -> Attach:
    def attach(network: nn.Module, sites: Sites, image_size: int, *, reduction: int | None = None) -> None:
        ratio = _reduction(network, reduction)

        def make(site: Site) -> nn.Module:
            return SqueezeExcitationGate(site.input.channels, site.branch.channels, reduction=ratio, match=match)

        gate_branches(sites, "se", make)

    return attach


def _gather_excite(network: nn.Module, sites: Sites, image_size: int) -> None:
    attend_branches(sites, "ge", lambda _: GatherExcite())


def _gather_excite_theta(network: nn.Module, sites: Sites, image_size: int, *, extent: int = 8) -> None:
    attend_branches(sites, "ge", lambda site: GatherExciteTheta(site.branch.channels, extent=extent))


def _cbam(network: nn.Module, sites: Sites, image_size: int, *, reduction: int | None = None) -> None:
    ratio = _reduction(network, reduction)
    attend_branches(sites, "cbam", lambda site: CBAM(site.branch.channels, reduction=ratio))


def _global_context(network: nn.Module, sites: Sites, image_size: int, *, reduction: int = 16) -> None:
    attend_branches(sites, "gc", lambda site: GlobalContext(site.branch.channels, reduction=reduction))


def _style_recalibration(network: nn.Module, sites: Sites, image_size: int) -> None:
    attend_branches(sites, "srm", lambda site: StyleRecalibration(site.branch.channels))


def _spatial_group_enhance(network: nn.Module, sites: Sites, image_size: int, *, groups: int = 64) -> None:
    attend_branches(sites, "sge", lambda _: SpatialGroupEnhance(groups))


def _efficient_channel(network: nn.Module, sites: Sites, image_size: int) -> None:
    attend_branches(sites, "eca", lambda site: EfficientChannelAttention(site.branch.channels))


def _bam(
    network: nn.Module, sites: Sites, image_size: int, *, reduction: int = 16, stages: tuple[int, ...] = (1, 2, 3)
) -> None:
    attend_stages(network, sites, "bam", lambda site: BAM(site.output.channels, reduction=reduction), stages=stages)


def _non_local(network: nn.Module, sites: Sites, image_size: int, *, stages: tuple[int, ...] = (2, 3)) -> None:
    attend_stages(network, sites, "nl", lambda site: NonLocal(site.output.channels), stages=stages)


def _double_attention(
    network: nn.Module, sites: Sites, image_size: int, *, reduction: int = 16, stages: tuple[int, ...] = (2, 3)
) -> None:
    attend_stages(
        network, sites, "a2", lambda site: DoubleAttention(site.output.channels, reduction=reduction), stages=stages
    )


def _selective_kernel(network: nn.Module, sites: Sites, image_size: int) -> None:
    def make(site: Site) -> nn.Module:
        old = spatial_convolution(site)
        return SelectiveKernel(old.in_channels, old.out_channels, stride=old.stride[0], groups=old.groups)

    replace_convolutions(sites, make, normalized=True)


def _augmented_convolution(
    network: nn.Module,
    sites: Sites,
    image_size: int,
    *,
    stages: tuple[int, ...] = (),
    key_share: float = 0.2,
    value_share: float = 0.1,
    heads: int = 8,
) -> None:
    def make(site: Site) -> nn.Module:
        old = spatial_convolution(site)
        return AttentionAugmentedConv2d(
            old.in_channels,
            old.out_channels,
            side=site.convolved.height if site.convolved else 1,
            stride=old.stride[0],
            key_share=key_share,
            value_share=value_share,
            heads=heads,
        )

    # The first stage's maps are too large for every pixel to look at all others; the paper leaves them alone too.
    chosen = sites_of_stages(network, sites, "aa", stages)[0 if stages else 1 :]
    replace_convolutions([site for inside in chosen for site in inside], make)


def _stand_alone_attention(
    network: nn.Module, sites: Sites, image_size: int, *, kernel_size: int = 7, heads: int = 8
) -> None:
    def make(site: Site) -> nn.Module:
        old = spatial_convolution(site)
        return StandAloneAttention2d(
            old.in_channels, old.out_channels, kernel_size=kernel_size, stride=old.stride[0], heads=heads
        )

    replace_convolutions(sites, make)


def _ulsam(
    network: nn.Module,
    sites: Sites,
    image_size: int,
    *,
    after: tuple[int, ...] = (),
    replace: tuple[int, ...] = (),
    groups: int = 4,
) -> None:
    if not isinstance(network, NumberedLayers):
        raise ValueError("`ulsam` goes by the layer numbers of mobilenet_v1 and mobilenet_v2, and into nothing else")
    if not after and not replace:
        raise ValueError("`ulsam` must be given `after` or `replace`, the numbers of layers, as in ulsam@replace=14:17")
    by_block = {id(site.block): site for site in sites}
    for asked, able, what in (
        (replace, network.replaceable_layers, "`replace` must be a layer that keeps channels and size"),
        (after, network.insertable_layers, "`after` must be a layer that attention can follow"),
    ):
        for number in asked:
            if number not in able:
                raise ValueError(f"{what}, one of {', '.join(map(str, able))}; got {number}")
    channels = {number: by_block[id(network.layers[number])].output.channels for number in (*replace, *after)}
    for number in replace:
        network.replace_layer(number, Substitute(ULSAM(channels[number], groups=groups), "ulsam"))
    for number in after:
        block = network.layers[number]
        assert isinstance(block, AttendedBlock)
        block.add_attention("ulsam", ULSAM(channels[number], groups=groups), place="output")


def _ba2m(
    network: nn.Module,
    sites: Sites,
    image_size: int,
    *,
    stages: tuple[int, ...] = (),
    place: Literal["between", "inside"] = "between",
    reduction: int = 32,
    branches: tuple[Literal["channel", "local", "global"], ...] = ("channel", "local", "global"),
    layout: Literal["equations", "table"] = "equations",
    scale_by_batch: bool = True,
) -> None:
    def module(channels: int) -> nn.Module:
        return BA2M(channels, reduction=reduction, branches=branches, layout=layout, scale_by_batch=scale_by_batch)

    if place == "between":
        attend_stages(network, sites, "ba2m", lambda site: module(site.output.channels), stages=stages)
    else:
        inside = [site for stage in sites_of_stages(network, sites, "ba2m", stages) for site in stage]
        attend_branches(inside, "ba2m", lambda site: module(site.branch.channels))


ATTENTIONS: dict[str, Attach] = {
    "a2": _double_attention,
    "aa": _augmented_convolution,
    "ba2m": _ba2m,
    "bam": _bam,
    "cbam": _cbam,
    "eca": _efficient_channel,
    "gc": _global_context,
    "ge": _gather_excite,
    "ge_theta": _gather_excite_theta,
    "nl": _non_local,
    "sasa": _stand_alone_attention,
    "se": _squeeze_excitation,
    "se_b": _squeeze_excitation_gate(match=False),
    "se_c": _squeeze_excitation_gate(match=True),
    "sge": _spatial_group_enhance,
    "sk": _selective_kernel,
    "spa_a": _spatial_pyramid,
    "spa_b": _spatial_pyramid_gate(match=False),
    "spa_c": _spatial_pyramid_gate(match=True),
    "srm": _style_recalibration,
    "ulsam": _ulsam,
}
