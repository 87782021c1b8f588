"""Fins over MQTT 5: what their messages say (``messages.py``), what is done with one (``handling.py``), and the process
that stands between the broker and the database (``bridge.py``).
"""
