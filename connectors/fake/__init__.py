"""Scripted outcomes, for conformance runs and benchmarks. Only where a setting allows it."""
