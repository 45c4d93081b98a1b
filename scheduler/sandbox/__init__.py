"""A local stand-in of the upstream over real HTTP."""
