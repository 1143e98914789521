"""Declares the exported tables and renders them as schemas, DDL and views."""
