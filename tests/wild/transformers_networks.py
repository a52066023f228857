"""Twelve networks of transformers', built from small configurations: encoders, decoders, vision, a CLIP tower."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F

from tests.wild.places import CHANNELS_FIRST, Places, tokens
from tests.wild.subject import CLASSES, Subject, cross_entropy, pictures

__all__ = ["TRANSFORMERS"]

_WORDS, _LENGTH = 50, 7
_SMALL: dict[str, Any] = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40}


def _built(kind: str, config: str, **options: Any) -> nn.Module:
    model: nn.Module = getattr(transformers, kind)(getattr(transformers, config)(**options))
    return model


def _words(count: int) -> Tensor:
    return torch.randint(3, _WORDS, (count, _LENGTH), generator=torch.Generator().manual_seed(count))


def _text_in(count: int) -> dict[str, Tensor]:
    """Sentences, of which the last has one word less."""
    seen = torch.ones(count, _LENGTH, dtype=torch.long)
    seen[-1, -1] = 0
    return {"input_ids": _words(count), "attention_mask": seen}


def _classification(_: nn.Module) -> Callable[[Any, Tensor], Tensor]:
    return lambda output, labels: cross_entropy(output.logits, labels)


def _right(output: Any, labels: Tensor) -> Tensor:
    return output.logits.argmax(1) == labels


def _next_word(_: nn.Module) -> Callable[[Any, Tensor], Tensor]:
    """A sentence's mean over its words."""
    return lambda output, labels: F.cross_entropy(output.logits.transpose(1, 2), labels, reduction="none").mean(1)


def _text(kind: str, config: str, **options: Any) -> Subject:
    return Subject(
        name=f"transformers {kind}",
        family=config.removesuffix("Config"),
        build=partial(_built, kind, config, vocab_size=_WORDS, num_labels=CLASSES, **options),
        inputs=_text_in,
        forward=lambda model, words: model(**words),
        loss=_classification,
        metric=_right,
        classifier=False,
    )


def _language(kind: str, config: str, *, inputs: Callable[[int], Any] = _text_in, **options: Any) -> Subject:
    return Subject(
        name=f"transformers {kind}",
        family=config.removesuffix("Config"),
        build=partial(_built, kind, config, vocab_size=_WORDS, **options),
        inputs=inputs,
        labels=_words,
        forward=lambda model, words: model(**words),
        loss=_next_word,
        metric=None,
        classifier=False,
    )


def _vision(kind: str, config: str, *size: int, places: Places, **options: Any) -> Subject:
    return Subject(
        name=f"transformers {kind}",
        family=config.removesuffix("Config"),
        build=partial(_built, kind, config, num_labels=CLASSES, **options),
        inputs=pictures(3, *size),
        loss=_classification,
        metric=_right,
        score=lambda output: output.logits[:, 1],
        places=places,
        classifier=False,
    )


def _segformer() -> Subject:
    def loss(_: nn.Module) -> Callable[[Any, Tensor], Tensor]:
        return lambda output, labels: F.cross_entropy(output.logits, labels, reduction="none").mean((1, 2))

    sizes = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "decoder_hidden_size": 16}
    return Subject(
        name="transformers SegformerForSemanticSegmentation",
        family="Segformer",
        build=partial(_built, "SegformerForSemanticSegmentation", "SegformerConfig", num_labels=CLASSES, **sizes),
        inputs=pictures(3, 64, 96),
        labels=lambda count: torch.arange(count * 16 * 24).reshape(count, 16, 24) % CLASSES,
        loss=loss,
        metric=None,
        score=lambda output: output.logits[:, 1].mean((1, 2)),
        places=CHANNELS_FIRST,
        classifier=False,
    )


def _clip_tower() -> Subject:
    """Pictures against the embeddings of five sentences, which are the labels' here."""
    sentences = torch.randn(CLASSES, 16, generator=torch.Generator().manual_seed(5))

    def loss(_: nn.Module) -> Callable[[Any, Tensor], Tensor]:
        return lambda output, labels: cross_entropy(output.image_embeds @ sentences.T, labels)

    sizes = {**_SMALL, "projection_dim": 16, "image_size": 64, "patch_size": 16}
    return Subject(
        name="transformers CLIPVisionModelWithProjection",
        family="CLIPVision",
        build=partial(_built, "CLIPVisionModelWithProjection", "CLIPVisionConfig", **sizes),
        inputs=pictures(3, 64, 64),
        loss=loss,
        metric=None,
        score=lambda output: output.image_embeds @ sentences[1],
        places=tokens(before=1),
        classifier=False,
    )


def _detr() -> Subject:
    """Queries; the loss is how sure they are that something is there."""

    def loss(_: nn.Module) -> Callable[[Any, Any], Tensor]:
        return lambda output, labels: F.cross_entropy(output.logits[:, 0], labels, reduction="none")

    backbone = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], out_features=["stage4"]
    )
    sizes = {
        "use_timm_backbone": False,
        "use_pretrained_backbone": False,
        "backbone": None,
        "backbone_config": backbone,
        "d_model": 16,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 24,
        "decoder_ffn_dim": 24,
        "num_queries": 6,
    }
    return Subject(
        name="transformers DetrForObjectDetection",
        family="Detr",
        build=partial(_built, "DetrForObjectDetection", "DetrConfig", num_labels=CLASSES, **sizes),
        inputs=pictures(3, 64, 96),
        loss=loss,
        metric=None,
        score=lambda output: output.logits[:, :, 1].sum(1),
        places=CHANNELS_FIRST,
        classifier=False,
    )


TRANSFORMERS = [
    _text("BertForSequenceClassification", "BertConfig", **_SMALL),
    _text("DistilBertForSequenceClassification", "DistilBertConfig", dim=24, n_layers=2, n_heads=4, hidden_dim=40),
    _text("GPT2ForSequenceClassification", "GPT2Config", n_embd=24, n_layer=2, n_head=4, pad_token_id=0),
    _language("LlamaForCausalLM", "LlamaConfig", **_SMALL, num_key_value_heads=2),
    _language(
        "T5ForConditionalGeneration",
        "T5Config",
        inputs=lambda count: {**_text_in(count), "decoder_input_ids": _words(count)},
        d_model=24,
        d_kv=6,
        d_ff=40,
        num_layers=2,
        num_heads=4,
    ),
    _vision("ViTForImageClassification", "ViTConfig", 64, 96, places=tokens(before=1), **_SMALL, image_size=(64, 96)),
    _vision(
        "SwinForImageClassification",
        "SwinConfig",
        64,
        96,
        places=tokens(),
        image_size=(64, 96),
        embed_dim=12,
        depths=[1, 2],
        num_heads=[2, 4],
        window_size=4,
    ),
    _vision(
        "ConvNextForImageClassification",
        "ConvNextConfig",
        64,
        96,
        places=CHANNELS_FIRST,
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 2, 1],
    ),
    _vision(
        "Dinov2WithRegistersForImageClassification",
        "Dinov2WithRegistersConfig",
        56,
        84,
        places=tokens(before=5),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=56,
        patch_size=14,
    ),
    _segformer(),
    _clip_tower(),
    _detr(),
]
