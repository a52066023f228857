"""Whole jobs made of the parts: train, landscapes, lines, the demo."""
