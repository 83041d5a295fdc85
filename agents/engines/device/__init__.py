"""Decoding steps as a GPU wants them."""
