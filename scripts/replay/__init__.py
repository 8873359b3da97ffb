"""Replays measured series through the whole platform: real broker, gateways, chain and certifier."""
