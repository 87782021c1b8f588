"""What is ours alone and in no contract. README.md is the contract."""
