"""Actions of toolkits (Olorin): payments, shops and directories. Chat and tickets stand in their own connectors."""
