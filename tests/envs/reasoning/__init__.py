"""Tests of the reasoning environment."""
