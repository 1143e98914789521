"""The documents of the commit and their rules: ledgers, selection, publishing."""
