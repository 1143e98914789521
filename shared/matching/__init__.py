"""Counts how many rows of a table have a row of the table that a view joins to it."""
