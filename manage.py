#!/usr/bin/env python3
"""`python3 manage.py up` runs everything, `python3 manage.py test` tests everything."""

import importlib
import os
import sys

# Commands that Django's own start would be in the way of: the module whose main() carries each out.
APART = {
    "up": "config.up",
    "test": "config.testing",
    "conformance": "config.conformance",
    "bench": "benchmarks.steps",
}

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from config.bootstrap import enter

    enter(sys.argv)  # may start this script again inside its own environment
    if sys.argv[1:2] and sys.argv[1] in APART:
        sys.exit(importlib.import_module(APART[sys.argv[1]]).main(sys.argv[2:]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
