"""What vLLM's model classes do: how they name layers, which heads they have, tie or drop."""
