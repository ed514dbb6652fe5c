"""A catalogue: a folder of static files from which apps fetch models, and can tell that they are right."""
