"""Measures what the parts of the program cost."""
