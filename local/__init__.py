"""Emulators of Azure services for one machine; a connection string replaces each with the real service."""
