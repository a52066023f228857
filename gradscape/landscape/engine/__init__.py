"""The engine: a model moved through parameter space and evaluated block by block of images."""
