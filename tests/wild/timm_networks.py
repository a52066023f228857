"""One network of every module of timm's, the smallest or cut in depth, at small and odd sizes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import timm

from tests.wild.places import CHANNELS_FIRST, CHANNELS_LAST, Places, tokens
from tests.wild.subject import CLASSES, Subject, pictures

__all__ = ["TIMM"]


@dataclass(frozen=True)
class _Shown:
    """How a network is built and what it is shown."""

    size: tuple[int, int] = (64, 96)
    places: Places | None = CHANNELS_FIRST
    options: Mapping[str, Any] = field(default_factory=dict)


_CONVOLUTIONAL = """
convmixer_768_32 cpubone_nano cs3darknet_focus_s csatv2 cspnext_tiny densenet121 dla46x_c dpn48b
edgenext_xx_small efficientvim_m1 efficientvit_b0 ese_vovnet19b_slim_dw fasternet_t0 fastvit_t8
gernet_s ghostnet_050 hardcorenas_b hgnetv2_b0 hrnet_w18_small iformer_t inception_next_atto lcnetv2_small
legacy_seresnet18 legacy_xception lowformer_b0 mobilenetv3_small_050 mobilenetv4_conv_small_035 mobileone_s1
mobilevit_xxs mobilevitv2_050 nextvit_small nf_regnet_b0 poolformer_s12 rdnet_tiny regnetx_002 repghostnet_050
repvgg_a0 repvit_m0_9 res2net50_14w_8s resnest14d resnet10t resnetv2_18 rexnet_100 selecsls42 shvit_s1 skresnet18
starnet_s050 swiftformer_xs test_byobnet test_convnext test_efficientnet test_nfnet test_resnet tresnet_m xception41
"""

_NARROW = {"embed_dim": 96, "num_heads": 4}

_SHALLOW = (1, 1, 2, 1)

_SHOWN: dict[str, _Shown] = {
    **{name: _Shown() for name in _CONVOLUTIONAL.split()},
    "beit_base_patch16_224": _Shown(places=tokens(before=1), options={"depth": 2, **_NARROW, "img_size": (64, 96)}),
    "lambda_resnet26t": _Shown(),
    "cait_xxs24_224": _Shown(places=tokens(), options={"depth": 3, "img_size": (64, 96)}),
    "coat_tiny": _Shown(places=None, options={"img_size": (64, 96)}),
    "convit_tiny": _Shown(
        (96, 96), places=tokens(before=1), options={"depth": 3, "local_up_to_layer": 1, "img_size": 96}
    ),
    "crossvit_tiny_240": _Shown((240, 240), places=None),
    "deepseek_vit_412m": _Shown(
        (56, 84), places=None, options={"depth": 2, "embed_dim": 64, "num_heads": 4, "img_size": (56, 84)}
    ),
    "deit_tiny_distilled_patch16_224": _Shown(places=tokens(before=2), options={"depth": 3, "img_size": (64, 96)}),
    "deit3_small_patch16_224": _Shown(places=tokens(before=1), options={"depth": 3, "img_size": (64, 96)}),
    "efficientformer_l1": _Shown((224, 224), places=tokens()),
    "efficientformerv2_s0": _Shown((224, 224)),
    "efficientvit_m0": _Shown((224, 224)),
    "eva02_tiny_patch14_224": _Shown((56, 84), places=tokens(before=1), options={"depth": 3, "img_size": (56, 84)}),
    "vit_tiny_patch16_dinov3_qkvb": _Shown(places=tokens(before=5), options={"depth": 3, "img_size": (64, 96)}),
    "gcvit_xxtiny": _Shown((224, 224)),
    "gemma4_vit_167m": _Shown(places=None, options={"depth": 2}),
    "davit_tiny": _Shown(options={"depths": _SHALLOW}),
    "focalnet_tiny_srf": _Shown(),
    "hiera_tiny_224": _Shown((224, 224), places=tokens(), options={"stages": _SHALLOW}),
    "sam2_hiera_tiny": _Shown((128, 192), places=CHANNELS_LAST),
    "inception_resnet_v2": _Shown((107, 139)),
    "inception_v3": _Shown((107, 139)),
    "inception_v4": _Shown((155, 187)),
    "levit_128s": _Shown((224, 224), places=tokens()),
    "mambaout_femto": _Shown(places=CHANNELS_LAST),
    "test_coatnet": _Shown((64, 96), options={"img_size": (64, 96)}),
    "test_maxvit": _Shown((64, 96), options={"img_size": (64, 96)}),
    "caformer_s18": _Shown(),
    "gmlp_ti16_224": _Shown((64, 96), places=tokens(), options={"img_size": (64, 96)}),
    "mixer_s32_224": _Shown((64, 96), places=tokens(), options={"img_size": (64, 96)}),
    "resmlp_12_224": _Shown((64, 96), places=tokens(), options={"img_size": (64, 96)}),
    "mobilenetv5_300m": _Shown(options={"channel_multiplier": 0.25}),
    "mvitv2_tiny": _Shown((96, 96), places=tokens(), options={"img_size": 96}),
    "naflexvit_base_patch16_gap": _Shown(places=tokens(before=4), options={"depth": 2, **_NARROW}),
    "nasnetalarge": _Shown((96, 139), options={"stem_size": 32, "num_features": 1056, "channel_multiplier": 2}),
    "nest_tiny": _Shown((224, 224), places=Places(channels_last=True, first_at=("levels",))),
    "pit_ti_distilled_224": _Shown(places=tokens(before=2), options={"img_size": (64, 96)}),
    "pnasnet5large": _Shown((96, 139)),
    "pvt_v2_b0": _Shown(),
    "qwen3_vit_88m": _Shown(places=None, options={"depth": 2, **_NARROW}),
    "sequencer2d_s": _Shown(places=CHANNELS_LAST, options={"img_size": (64, 96), "layers": _SHALLOW}),
    "swin_tiny_patch4_window7_224": _Shown(
        places=CHANNELS_LAST, options={"img_size": (64, 96), "window_size": 4, "depths": _SHALLOW}
    ),
    "swinv2_tiny_window8_256": _Shown(
        places=CHANNELS_LAST, options={"img_size": (64, 96), "window_size": 4, "depths": _SHALLOW}
    ),
    "swinv2_cr_tiny_224": _Shown(options={"img_size": (64, 96), "window_size": 4, "depths": _SHALLOW}),
    "tiny_vit_5m_224": _Shown((64, 96)),
    "tnt_s_patch16_224": _Shown(places=tokens(before=1), options={"depth": 3, "img_size": (64, 96)}),
    "twins_pcpvt_small": _Shown(places=tokens()),
    "vgg11": _Shown(options={"mlp_ratio": 0.02}),
    "visformer_tiny": _Shown(options={"img_size": (64, 96)}),
    "test_vit": _Shown(places=tokens(before=1), options={"img_size": (64, 96)}),
    "vit_tiny_r_s16_p8_224": _Shown((128, 192), places=tokens(before=1), options={"depth": 3, "img_size": (128, 192)}),
    "test_vit_relpos": _Shown(places=tokens(), options={"img_size": (64, 96)}),
    "samvit_base_patch16_224": _Shown(
        places=Places(channels_last=True, first_at=("neck",)), options={"depth": 2, **_NARROW, "img_size": (64, 96)}
    ),
    "vitamin_small_224": _Shown(places=tokens(), options={"img_size": (64, 96)}),
    "volo_d1_224": _Shown(places=Places(channels_last=True, before=1), options={"img_size": (64, 96)}),
    "xcit_nano_12_p8_224": _Shown(places=tokens(before=1), options={"depth": 3, "img_size": (64, 96)}),
}


def _subject(name: str, shown: _Shown) -> Subject:
    return Subject(
        name=f"timm {name}",
        family=timm.models.model_entrypoint(name).__module__.removeprefix("timm.models."),
        build=partial(timm.create_model, name, pretrained=False, num_classes=CLASSES, **shown.options),
        inputs=pictures(3, *shown.size),
        places=shown.places,
    )


TIMM = [_subject(name, shown) for name, shown in _SHOWN.items()]
