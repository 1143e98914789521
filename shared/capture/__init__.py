"""Real envelopes become fixtures that may be shown to others."""
