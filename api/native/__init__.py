"""What is ours alone and in no contract: the first administrator, triggers, events, hooks. README.md is the contract."""
