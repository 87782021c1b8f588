"""Commands over SSH, with pinned host keys."""
