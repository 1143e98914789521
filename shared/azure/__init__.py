"""Reaches Azure: Blob Storage and Event Hubs."""
