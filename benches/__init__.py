"""Measurements; see benches/compare."""
