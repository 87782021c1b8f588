"""Tenants, users, roles and API keys: who may do what, for whom."""
