"""Compares the container with an export of the same records from a Log Analytics workspace."""
