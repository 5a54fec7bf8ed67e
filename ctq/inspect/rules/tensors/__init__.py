"""TEN and DEP: tensors against the quantization config and against each other, and their values."""
