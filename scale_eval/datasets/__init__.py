"""Datasets of companies' transactions: ingest, the manifest, reading, and synthetic companies."""

from scale_eval.datasets.dataset import Dataset, open_dataset
from scale_eval.datasets.transactions import Transactions

__all__ = ["Dataset", "Transactions", "open_dataset"]
