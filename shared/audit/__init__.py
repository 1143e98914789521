"""Compares what the container holds with what the ledgers say."""
