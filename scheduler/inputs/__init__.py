"""Reads the inputs of a batch and renders them as a body. Blocking: call it in a thread."""
