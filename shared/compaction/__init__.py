"""Merges the small files of quiet hours into a few large ones."""
