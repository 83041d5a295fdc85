"""The paper's experiments at tiny scale: what is trained, what is compared, and whether the effect was seen."""
