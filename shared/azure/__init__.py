"""Calls Azure: Blob Storage and Event Hubs."""
