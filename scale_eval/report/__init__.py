"""Present results to people: a verdict in words, plots, an HTML page, tables for a terminal."""
