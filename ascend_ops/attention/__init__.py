"""Flash attention for training: dense tensors and sequences of different lengths."""
