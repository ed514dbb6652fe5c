"""A catalogue served for trying it out: a phone in the same network is enough."""
