"""Helpers that several layer kinds share."""
