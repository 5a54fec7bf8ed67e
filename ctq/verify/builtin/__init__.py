"""The engine's loading of a head without the engine: dispatch, parameters, narrowing, and the head run on real arithmetic."""
