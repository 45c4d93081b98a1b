"""TOML, environment and credentials become one validated model."""
