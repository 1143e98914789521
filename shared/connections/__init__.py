"""Turns the records of connections into start times, durations and finished connections."""
