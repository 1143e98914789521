"""Erases the rows that hold a value in a column, and says where else the value may be."""
