"""Measurements by which the platform is judged; each beside something measured in the same run."""
