"""The results of a run: its directory, the tables, and how they are reduced."""
