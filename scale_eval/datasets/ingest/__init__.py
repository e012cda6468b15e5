"""Read transactions from files into a dataset."""
