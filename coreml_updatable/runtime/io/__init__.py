"""Features in rows and answers: pictures, arrays, dictionaries."""
