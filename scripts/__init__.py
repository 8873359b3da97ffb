"""Executables and the composition root, the only place that may import all applications."""
