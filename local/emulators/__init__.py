"""Emulators of Azure services for a single machine. They import nothing from the program."""
