"""The S4E playbooks API: stored playbooks, runs, CACAO export and import.

Source: the S4E playbooks documentation, completed by decisions of our own. The stored document is the body as its
author sent it; ``dialect/`` reads it, compiles it for the engine, and translates between it and CACAO.
"""
