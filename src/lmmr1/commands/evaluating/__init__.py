"""The commands around evaluation: agents by their words, comparing, scoring anew, serving, experiments."""
