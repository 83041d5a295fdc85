"""Who acts in the environments: the agents, the policy among them, and the episodes that they play."""
