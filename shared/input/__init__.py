"""Turns Event Hubs messages into rows of a table, or into rejections with a reason."""
