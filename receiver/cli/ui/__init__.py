"""What commands share in front of a person: tables, JSON, progress, confirmation, options that select events."""
