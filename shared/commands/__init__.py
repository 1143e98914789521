"""The commands of `python -m shared`, a module each: its arguments, what it calls, and what it prints."""
