from .attention_augmented import AttentionAugmentedConv2d
from .bam import BAM
from .cbam import CBAM
from .double_attention import DoubleAttention
from .efficient_channel import EfficientChannelAttention
from .gather_excite import GatherExcite, GatherExciteTheta
from .global_context import GlobalContext
from .non_local import NonLocal
from .selective_kernel import SelectiveKernel
from .spatial_group_enhance import SpatialGroupEnhance
from .squeeze_excitation import SqueezeExcitation, SqueezeExcitationGate
from .stand_alone import StandAloneAttention2d
from .style_recalibration import StyleRecalibration

__all__ = [
    "BAM",
    "CBAM",
    "AttentionAugmentedConv2d",
    "DoubleAttention",
    "EfficientChannelAttention",
    "GatherExcite",
    "GatherExciteTheta",
    "GlobalContext",
    "NonLocal",
    "SelectiveKernel",
    "SpatialGroupEnhance",
    "SqueezeExcitation",
    "SqueezeExcitationGate",
    "StandAloneAttention2d",
    "StyleRecalibration",
]
