"""Rows for a model from files: pictures, folders, arrays, tables."""
