"""Emulators of Azure services for one machine, each replaceable with the real one by a connection string."""
