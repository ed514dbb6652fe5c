"""Golden vectors: what a model must answer, before and after one update, so that a device can be held to it."""
