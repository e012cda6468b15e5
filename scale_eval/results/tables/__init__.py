"""Make the result tables; one module a table."""
