"""What is optimised, as pure tensor functions: credit, divergences, losses, learning rates."""
