"""What a person asks of the definitions: plan, drift, export."""
