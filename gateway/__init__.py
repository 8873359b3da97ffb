"""Beside the energy management system: takes readings in, meters, signs and relays them to the chain."""
