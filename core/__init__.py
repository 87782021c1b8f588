"""What every app stands on: errors, base models, actors, the strict JSON reader. No domain noun lives here."""
