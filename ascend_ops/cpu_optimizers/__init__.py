"""Optimizers for parameters in host memory: CPUAdam, CPULion, CPUAdagrad."""
