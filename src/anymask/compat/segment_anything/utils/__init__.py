"""Utilities of the published package."""
