"""The HTTP contracts: one folder a family, and beside them the machinery they share. README.md has the table."""
