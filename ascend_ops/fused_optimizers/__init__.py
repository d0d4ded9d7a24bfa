"""Optimizers that update all tensors of a parameter group per call: AdamW, Lion, LAMB."""
