"""The builders of this project's own ops, one per file."""
