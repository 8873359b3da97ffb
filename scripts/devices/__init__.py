"""Simulated devices that take set-points: physical models behind real MQTT clients."""
