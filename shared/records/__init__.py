"""Envelopes become rows: records are taken apart, checked, and rejected with a reason."""
