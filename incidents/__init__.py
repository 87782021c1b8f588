"""What happened and is being dealt with: incidents, their clocks, their remediation, and who is told."""
