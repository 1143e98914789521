"""Converts files of log records on this machine, with the exporter's own code and without Azure."""
