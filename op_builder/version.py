"""The project's version, as a constant, since reading package metadata takes 2 ms."""

__version__ = "0.1.0"
