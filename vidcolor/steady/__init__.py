"""Steady chroma from chroma that flickers: numpy arrays in and out, nothing of files or devices."""
