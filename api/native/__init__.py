"""What is ours alone: the first administrator, triggers, events, hooks. README.md is the contract."""
