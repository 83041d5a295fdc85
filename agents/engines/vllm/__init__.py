"""vLLM as an engine: the one folder that imports it."""
