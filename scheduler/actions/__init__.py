"""What a person can ask for, whatever the surface."""
