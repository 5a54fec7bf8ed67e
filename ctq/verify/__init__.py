"""Proof that a checkpoint is what it says: by dispatch, by loading and by numbers."""
