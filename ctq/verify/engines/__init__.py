"""Who is asked what they make of a checkpoint: a room for each engine, all with the same door.

``engine.py`` of a room has the engine's ``NAME`` and ``ask_NAME``, which takes what the user named and the subject and returns an
answer; what else lies in the room is how that answer comes about. ``table`` has the doors of all of them.
"""
