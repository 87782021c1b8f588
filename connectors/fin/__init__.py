"""Fins: programs of other people that carry out steps. They fetch their work over HTTP, or get it over MQTT."""
