"""The installed transformers as a judge: asked in a process of its own, which loads and runs the whole model.

``process`` runs the ``worker`` beside us and survives whatever happens to it, and ``engine`` is what the rest of ctq calls.
"""
