"""TEN: tensors against what the architecture is made of, where that is known."""
