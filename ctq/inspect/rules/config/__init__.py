"""CFG: the quantization config, and what the config says of the model."""
