"""What to quantize and how: schemes as data, compressed-tensors' matching and config, recipes, kinds of tensors, the head."""
