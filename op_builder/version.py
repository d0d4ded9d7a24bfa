"""The project's version, in one place for code that must not read package metadata (2 ms)."""

__version__ = "0.1.0"
