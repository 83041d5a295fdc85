"""Answers read exactly and compared at once, without sympy: pure functions that never guess."""
