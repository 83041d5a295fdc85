"""Forward passes over a model's own parameters: a fused one for Qwen decoders, a generic one for every family."""
