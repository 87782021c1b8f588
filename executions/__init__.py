"""Executions: one run of one playbook version, durable step by step."""
