"""Playbooks: what may be run. A version never changes once used."""
