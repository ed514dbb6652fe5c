"""The pictures: from a folder of photos, from Food-101, drawn or loaded by a sample's own code; read, sorted, split."""
