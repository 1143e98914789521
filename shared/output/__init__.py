"""Decides where rows are stored and encodes them as files."""
