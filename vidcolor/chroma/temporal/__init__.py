"""Temporal smoothing of chroma: frames in, frames out; no files, no networks."""
