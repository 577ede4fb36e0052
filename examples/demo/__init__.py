"""The demonstration: ``python -m examples.demo``."""
