"""How a network runs: layers in order, many rows at once, bounded work."""
