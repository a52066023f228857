"""Trainings that kept their networks on the way: small ones, which were not trained."""

from pathlib import Path

import torch

from gradscape.models import create_model, save_checkpoint

__all__ = ["save_run"]


def save_run(run: Path, *, networks: int = 4, first: int = 0) -> Path:
    """Write `kept/epoch0000.safetensors` … and `model.safetensors`, the last of them: a way between random networks.

    Args:
        run: The folder.
        networks: How many.
        first: Seed of the network that all goes away from.
    """
    names = ["resnet20"] * 3
    with torch.random.fork_rng():
        states = []
        for seed in (first, first + 101, first + 102):
            torch.manual_seed(seed)
            states.append(create_model(names[0], num_classes=10, image_size=8).state_dict())
        net = create_model(names[0], num_classes=10, image_size=8)
    for number in range(networks):
        time = number / (networks - 1)
        shares = ((1 - time) ** 2, 0.5 * time, 0.3 * time**2)
        moved = {
            key: sum(share * state[key] for share, state in zip(shares, states, strict=True))
            if value.is_floating_point() and "running" not in key
            else value
            for key, value in states[0].items()
        }
        net.load_state_dict(moved)
        for path in (run / "kept" / f"epoch{number:04d}.safetensors", run / "model.safetensors"):
            about = {"num_classes": 10, "image_size": 8, "mean": (0.3,) * 3, "std": (0.4,) * 3}
            save_checkpoint(path, net, name=names[0], **about)  # type: ignore[arg-type]
    return run
