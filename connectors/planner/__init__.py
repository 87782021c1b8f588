"""The deployment API of a planner service. ``openapi.yaml`` beside this says what such a service answers."""
