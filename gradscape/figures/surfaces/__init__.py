"""Whatever lies over a plane or along a line in parameter space: maps, reliefs, curves, and metrics of them."""
