"""The loops: fire, dispatch, collect, reconcile, housekeeping."""
