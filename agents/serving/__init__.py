"""Any agent behind an OpenAI-compatible endpoint."""
