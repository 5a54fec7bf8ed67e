"""HED: the head and the embedding, stored, declared and served."""
