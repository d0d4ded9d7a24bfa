"""Activations: swiglu, gelu."""
