"""Exports an archive of a diagnostic setting into the running container, exactly once."""
