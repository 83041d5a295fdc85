"""How much memory, time and how many GPUs a recipe takes: formulas, and a simulator of the pipeline."""
