"""Simulated owners of a phone: what the network and its k-NN learn from a few photos, and what they forget."""
