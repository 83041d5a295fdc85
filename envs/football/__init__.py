"""Football: the engine of Google Research Football, alone and in teams."""
