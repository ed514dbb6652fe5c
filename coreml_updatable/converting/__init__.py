"""Conversion without a recipe: the contract of converters, finding them, and the proof that answers agree."""
