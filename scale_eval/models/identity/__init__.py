"""Identify a user's code: its own text, and all that its results depend on beside the data.

`model_identity` says what a model or metric is, `dependencies` what it uses of other files and of a
notebook, and `declared_files` which files it reads.
"""
