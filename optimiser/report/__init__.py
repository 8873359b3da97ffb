"""What planning found, for people and programs."""
