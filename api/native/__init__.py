"""What is ours alone and in no contract: first administrator, executions, reviews, connections, the queue.

README.md is the contract.
"""
