"""FIL: the files of a checkpoint, and what lies beside them."""
