"""Decide what to evaluate, at what cost and in which batches; nothing is written here."""
