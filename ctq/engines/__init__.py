"""What serving engines do with a checkpoint, version by version: data from their sources and pure functions over it."""
