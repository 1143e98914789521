"""Compares the contents of the container with the ledgers."""
