"""vLLM's dispatch: from a quantization config to the method of each layer, release by release."""
