"""The same network for other engines, which train it on Android and elsewhere."""
