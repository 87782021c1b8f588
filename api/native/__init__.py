"""What is ours alone and in no contract: at present, making the first administrator. README.md is the contract."""
