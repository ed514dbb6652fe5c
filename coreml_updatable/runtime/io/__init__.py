"""Features as a row gives them and as a model answers them: pictures, arrays, dictionaries."""
