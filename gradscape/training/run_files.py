"""Names of the files that a training writes into its folder."""

__all__ = ["BEST", "LAST", "METRICS", "STATE"]

LAST, BEST, METRICS, STATE = "model.safetensors", "best.safetensors", "metrics.csv", "state.ckpt"
