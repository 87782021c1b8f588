"""Questions to people: opened by an execution, answered once."""
