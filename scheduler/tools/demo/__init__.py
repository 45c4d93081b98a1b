"""What a demo shows from its first minute: schedules beside the example's, and a month of runs."""
