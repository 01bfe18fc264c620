"""Figures for colored pictures: one file for each family of metrics, and a report."""
