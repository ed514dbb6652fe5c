"""Compare the meaning of two models."""
