"""Rotary position embedding, out of place and in place."""
