"""Emulators of the Azure services for one machine; they import nothing of the program."""
