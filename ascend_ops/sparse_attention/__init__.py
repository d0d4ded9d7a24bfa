"""Attention over a part of the scores."""
