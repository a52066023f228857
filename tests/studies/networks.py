"""Small untrained networks as checkpoints."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from gradscape.models import create_model, save_checkpoint


def save_network(folder: Path, name: str, *, image_size: int = 16, seed: int = 0, **meta: object) -> Path:
    """Write a network for ten classes whose batch normalizations and pyramids do something; return the file."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = create_model(name, num_classes=10, image_size=image_size)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                state = module.state_dict()
                for key in ("running_var", "weight"):
                    state[key].uniform_(0.5, 2.0)
                for key in ("running_mean", "bias"):
                    state[key].normal_(std=0.2)
    path = folder / name.replace(":", "-") / "model.safetensors"
    labels = [f"digit_{number}" for number in range(10)]
    about: dict[str, Any] = {"num_classes": 10, "image_size": image_size, "labels": labels, **meta}
    save_checkpoint(path, net, name=name, mean=(0.3,) * 3, std=(0.4,) * 3, **about)
    return path
