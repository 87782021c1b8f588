"""Olorin SOAR: start a playbook for a tenant, signed actions of toolkits, connections. Roots /api/soar, /api/composio.

Source: Olorin's SOAR playbooks API contract, 2025-01-31. What it leaves open is settled in docs/olorin.md.
"""
