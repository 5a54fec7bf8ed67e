"""What vLLM builds of each layer by the configs of other methods than compressed-tensors: dense or with which tensors."""
