"""What a person asks of the calendar: next, preview, explain, lint, backfill."""
