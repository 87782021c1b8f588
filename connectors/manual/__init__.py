"""What people do: known to the registry, carried out by the app ``manual``."""
