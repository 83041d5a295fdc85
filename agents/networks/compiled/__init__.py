"""Kernels for small models on one CPU thread, compiled by Numba where it is installed.

There the products of matrices are torch's, at the speed of the machine; what lies between them are passes over memory
and calls by the hundred thousand, and a kernel makes one of many. `switch` says when they run.
"""
