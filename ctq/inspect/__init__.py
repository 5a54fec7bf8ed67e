"""What a checkpoint holds and what is wrong with it, from headers, index and config alone: no torch, no tensor data."""
