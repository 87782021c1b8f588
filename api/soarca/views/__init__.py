"""The calls of this contract, a file for each of its chapters."""
