"""Fused loops over raw weight bits: the only place where numbers are quantized.

Import ``spec`` and ``stats`` freely: they are plain values. ``quantize`` and ``compare`` bring numpy and numba
with them, so import those where the work starts.
"""
