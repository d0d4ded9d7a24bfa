"""Attention for serving, with a dense or paged key/value cache, and writing to the cache."""
