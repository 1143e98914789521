"""Exports batches of envelopes: a pure plan, and the exporter that carries it out."""
