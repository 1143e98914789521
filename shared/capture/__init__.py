"""Turns real envelopes into masked fixtures that are safe to share."""
