"""Measurements of the whole product."""
