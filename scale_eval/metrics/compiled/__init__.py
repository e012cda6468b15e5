"""Compute the metrics in compiled code, for many windows at once."""
