"""Files that run inside the environments of other evaluators; nothing here imports lmmr1 but `lmms_model`."""
