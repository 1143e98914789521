"""Maintains a Delta log over the Parquet files of each table."""
