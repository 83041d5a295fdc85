"""The engine: in this process, or in a worker process of its own."""
