"""Optimizers whose step takes all tensors of a group at once: AdamW, Lion, Lamb."""
