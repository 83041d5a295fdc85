"""What holds for every test."""

import os

# One thread an operation, as everywhere here: on a busy machine threads that wait for each other take minutes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
