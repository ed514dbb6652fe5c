"""What several layer kinds share."""
