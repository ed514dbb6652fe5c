"""Code shared by several converters."""
