"""What is installed on this machine, whether it works together, and how to put it right: `lmmr1 doctor`."""
