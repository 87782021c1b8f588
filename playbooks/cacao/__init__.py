"""The playbook language: read, checked, compiled, written. Pure: no clock, no row, no random number."""
