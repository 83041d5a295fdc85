"""Where weights learn: in this process, or split over several by DeepSpeed."""
