"""The real vLLM as a judge: asked in a process of its own, with nothing of it imported into ours.

``interpreter`` finds a Python that has vLLM, ``process`` runs the worker there and survives whatever happens to it, ``questions``
are what the worker answers, ``facts`` its answers as values, ``judge`` makes a verdict of them, and ``engine`` is what the rest of
ctq calls.
"""
