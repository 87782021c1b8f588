"""How the parts are put together: settings, routes, processes, and the two commands `up` and `test`.

Nothing is imported here: ``config.bootstrap`` runs before any dependency is installed.
"""

VERSION = "0.1.0"
