"""What ctq says of checkpoints against what real engines do, thousands of cases, part by part."""
