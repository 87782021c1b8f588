"""Pure rules: the table of moves, the clocks of severities, and what signals mean. Standard library only."""
