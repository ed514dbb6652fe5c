"""Pages from values: the report as HTML, JSON and terminal text. Nothing is computed or written here."""
