"""How a policy learns: recipes, stages, supervised fine-tuning, PPO, and the run folder that is left behind."""
