"""Results for people: tables that fit a terminal, and a verdict in words."""
