"""Kernels that Numba compiles where it is installed."""
