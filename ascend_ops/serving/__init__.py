"""Attention and key/value caches for serving."""
