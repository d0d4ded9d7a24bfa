"""Activations: SwiGLU and GELU."""
