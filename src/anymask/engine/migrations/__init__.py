"""The migrations of the store, run by :mod:`anymask.engine.migration`."""
