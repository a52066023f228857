"""Minima, saddles and persistence pairs of a surface, with the band that noise stays below."""
