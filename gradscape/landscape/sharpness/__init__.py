"""Sharpness as papers use it: how far the loss rises where weights are disturbed at random, or in the worst way."""
