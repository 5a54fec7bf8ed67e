"""Checkpoints as bytes and JSON: headers, index, config, the folder as a value, the hub, and writing.

The standard library only (huggingface_hub when a hub id is named): nothing here imports torch, and nothing here opens a pickle.
"""
