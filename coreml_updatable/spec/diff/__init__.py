"""What changed in meaning between two models."""
