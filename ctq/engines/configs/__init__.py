"""What config classes and engines read in a config: types, defaults, conditions, towers."""
