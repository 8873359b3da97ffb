"""Proposes and never transacts. Its forecasts, models and solver come with the optimisation of districts."""
