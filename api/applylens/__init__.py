"""The ApplyLens interventions API: incidents, their remediation actions, and their stream of events.

Where its contract is silent: bodies take no unknown fields; ``metadata`` shows what Sallyport knows itself
(``notes``, ``action_history``, ``ack_notes`` and the like) beside what callers stored, and these names are ours.
"""
