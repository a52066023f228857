"""Train each paper's leading model on digits and draw its landscape: that every one learns, for real.

Run it from anywhere: `python benchmarks/leads_on_digits.py [FOLDER]`. It runs the program's own commands, prints one
line a model, and fails if a model stays at or below 90 % test accuracy or its checkpoint gives no landscape.
"""

import subprocess
import sys
from pathlib import Path

LEADS = {
    "upanet16": 5,
    "cifar_preact_resnet18+spa_a": 5,
    "mobilenet_v1@width=0.5+ulsam@after=8:9,replace=11": 20,
    "attention56": 10,
    "cifar_resnet18+ba2m": 5,
}
LEAST_ACCURACY = 0.9


def run(*arguments: str) -> None:
    """Run one of gradscape's commands."""
    subprocess.run([Path(sys.executable).with_name("gradscape"), *arguments, "--quiet"], check=True)


def main() -> int:
    """Train and draw all; the exit status."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/leads")
    failed = []
    for number, (name, epochs) in enumerate(LEADS.items()):
        output = folder / str(number)
        run("train", name, "--data", "digits", "--recipe", "digits", "--epochs", str(epochs), "-o", str(output))
        checkpoint = output / "model.safetensors"
        surface = output / "landscape"
        options = ("--data", "digits", "--limit", "128", "--steps", "9", "--span", "0.5")
        run("landscape", str(checkpoint), *options, "-o", str(surface))
        header, *_, last = (output / "metrics.csv").read_text().splitlines()
        accuracy = float(dict(zip(header.split(","), last.split(","), strict=True))["test_accuracy"])
        learned = accuracy > LEAST_ACCURACY and (surface / "surface.h5").exists()
        print(
            f"{name}: test accuracy {100 * accuracy:.1f} % after {epochs} epochs, {surface / 'surface.h5'}", flush=True
        )
        if not learned:
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "all learned")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
