"""Attention, for training and for serving."""
