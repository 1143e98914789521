"""Small files of quiet hours become few large ones."""
