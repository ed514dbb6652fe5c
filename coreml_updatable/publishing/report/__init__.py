"""The report of a build: HTML, JSON and terminal text from the same values."""
