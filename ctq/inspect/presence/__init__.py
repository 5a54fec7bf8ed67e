"""What the files hold, lack or have too many of, by their architecture and by their own neighbours; rules make findings of it.

``stands_for`` says which tensors of the architecture the modules of the files are, in whatever form they are stored. Lacking, by
neighbours: ``gaps``; by the architecture: ``missing_experts`` of the text model, ``missing_parts`` of a wrapper, ``towers`` where
its towers are known. Too many: ``strangers``, and what vLLM makes of those, ``places`` and ``passed_over``.
"""
