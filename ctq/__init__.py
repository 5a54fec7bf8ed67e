"""INT8 compressed-tensors checkpoints with the language-model head explicitly in or out, and the proof of it."""

__version__ = "0.1.0"
