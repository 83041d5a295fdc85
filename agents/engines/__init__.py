"""Inference engines: what continues token prompts and keeps the log-probabilities of what it sampled."""
