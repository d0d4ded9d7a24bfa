"""Mixture of experts: grouped matmul, feed-forward networks, gating."""
