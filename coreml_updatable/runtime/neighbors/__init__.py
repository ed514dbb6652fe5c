"""k-nearest neighbors: the classifier, exact search, and voting."""
