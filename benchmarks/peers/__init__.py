"""What other tools make, and the real engine of it; two of these scripts run in the environment of those tools."""
