"""Make synthetic companies, with and without faults."""
