"""Figures for coloured pictures: one file for each family of metrics, and a report."""
