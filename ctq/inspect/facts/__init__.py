"""What a checkpoint holds, computed once and frozen: modules, head, defects, and what engines make of them."""
