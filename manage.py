#!/usr/bin/env python3
"""`python3 manage.py up` runs everything, `python3 manage.py test` tests everything."""

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from config.bootstrap import enter

    enter(sys.argv)  # may start this script again inside its own environment
    if sys.argv[1:2] == ["test"]:
        from config.testing import run

        run(sys.argv[2:])
    if sys.argv[1:2] == ["up"]:
        from config.up import main

        sys.exit(main(sys.argv[2:]))
    if sys.argv[1:2] == ["conformance"]:
        from config.conformance import main as conform

        sys.exit(conform(sys.argv[2:]))
    if sys.argv[1:2] == ["bench"]:
        from benchmarks.steps import main as bench

        sys.exit(bench(sys.argv[2:]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
