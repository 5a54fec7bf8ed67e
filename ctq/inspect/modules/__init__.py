"""Tensors of a checkpoint as sets of alike modules: their names, forms and folding."""
