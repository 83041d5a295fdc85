"""Where rows come from: JSON lines, Parquet files, folders of them, and the Hugging Face hub."""
