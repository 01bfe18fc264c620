"""Whole archives, on many machines: pieces of films, a store that all of them share, Ray."""
