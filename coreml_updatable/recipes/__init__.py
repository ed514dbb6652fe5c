"""A recipe: everything a build needs, as data."""
