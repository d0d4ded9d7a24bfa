"""Attention over part of the scores: chosen blocks, and native sparse attention (NSA)."""
