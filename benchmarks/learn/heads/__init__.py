"""How vLLM's model classes build their heads, read in the sources of a release: the parts of `benchmarks/learn/vllm_heads.py`."""
