"""The layers that vLLM would build by a config, held against the modules that lie in the files."""
