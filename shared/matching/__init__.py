"""Counts how many rows of a table have a counterpart in the table that a view joins to it."""
