"""What a run leaves behind: checkpoints, metrics, the progress display."""
