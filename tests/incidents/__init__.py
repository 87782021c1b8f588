"""Incidents without HTTP: rules, clocks, bulk, issues, watcher."""
