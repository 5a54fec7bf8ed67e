"""Quantizing a checkpoint: a pure plan from headers, fused kernels, and a stream from file to file."""
