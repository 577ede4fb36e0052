"""Types of the native module; see crates/python."""

DEBUG_BUILD: bool
__version__: str
