"""From values to text: each function returns what is to be shown, and prints nothing."""
