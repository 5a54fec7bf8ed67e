"""The rules of a vLLM release as a judge, without that engine: its loading of a head, and the head run on real arithmetic.

``dispatch_head`` finds the method that the head gets, ``head_loading`` what of the files reaches it (``parameters``,
``placement``), ``loading`` and ``running`` do so with real numbers (``arithmetic``), and ``engine`` is what the rest of ctq calls.
"""
