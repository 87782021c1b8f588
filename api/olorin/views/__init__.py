"""The endpoints of the Olorin API."""
