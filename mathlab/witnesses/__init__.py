"""Derivatives to check a gradient against, which share no code with the derivation nor with the program it becomes.

They read the forward equations alone: the complex step, the central difference, a tape of scalars, and PyTorch.
"""
