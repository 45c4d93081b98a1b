"""What is shown, whatever the surface: frozen, typed, decoded answers, and how they become JSON."""
