"""Every weight against the dense original, at disk speed and in bounded memory; no torch."""
