"""What each engine makes of a checkpoint's head."""
