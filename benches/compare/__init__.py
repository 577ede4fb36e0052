"""The same request through warmfork and its alternatives: ``python -m benches.compare``."""
