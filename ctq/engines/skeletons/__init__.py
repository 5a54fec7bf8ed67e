"""What architectures are made of: the names and sizes of their tensors, and which layers have which."""
