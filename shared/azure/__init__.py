"""Calls Azure services: Blob Storage and Event Hubs."""
