"""Agents without a model: the expert, who says what the solver says, and a player at random."""
