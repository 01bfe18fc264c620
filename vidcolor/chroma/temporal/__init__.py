"""Steady chroma from chroma that flickers: frames in, frames out, nothing of files or networks."""
