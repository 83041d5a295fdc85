"""Floor 3b: how an agent is judged. May import agents and envs, never training."""
