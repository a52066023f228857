"""The attention modules that the papers compare theirs with, one file a paper."""

from gradscape.models.attentions.attention_augmented import AttentionAugmentedConv2d
from gradscape.models.attentions.bam import BAM
from gradscape.models.attentions.cbam import CBAM
from gradscape.models.attentions.double_attention import DoubleAttention
from gradscape.models.attentions.efficient_channel import EfficientChannelAttention
from gradscape.models.attentions.gather_excite import GatherExcite, GatherExciteTheta
from gradscape.models.attentions.global_context import GlobalContext
from gradscape.models.attentions.non_local import NonLocal
from gradscape.models.attentions.selective_kernel import SelectiveKernel
from gradscape.models.attentions.spatial_group_enhance import SpatialGroupEnhance
from gradscape.models.attentions.squeeze_excitation import SqueezeExcitation, SqueezeExcitationGate
from gradscape.models.attentions.stand_alone import StandAloneAttention2d
from gradscape.models.attentions.style_recalibration import StyleRecalibration

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
