"""The remediation actions: one module for each system they act on, one registry."""
