"""What the container shows is held against what the ledgers say."""
