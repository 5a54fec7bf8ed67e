"""The part that runs beside a real vLLM, in that engine's own interpreter.

It may import the standard library, torch and vllm, and nothing of ctq: the interpreter need not have ctq installed. The folder
is started with ``PYTHON -I FOLDER/__main__.py REQUEST RESULTS`` and its modules import each other relatively.
"""
