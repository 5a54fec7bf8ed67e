"""A head in vLLM: its size, the parameters that a scheme creates for it, and what of the files fits into them."""
