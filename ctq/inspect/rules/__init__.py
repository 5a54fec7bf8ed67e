"""The rules: one pure function and one row in ``table.RULES`` for each thing that can be wrong with a checkpoint."""
