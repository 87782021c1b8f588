"""Connectors: what reaches machines. Each speaks to one kind of outside system and answers with an Outcome."""
