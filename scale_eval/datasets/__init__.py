"""Datasets of companies' transactions: ingest, the manifest, reading, and synthetic companies."""

from typing import TYPE_CHECKING

from scale_eval.lazy import lazy_names

if TYPE_CHECKING:
    from scale_eval.datasets.dataset import Dataset, open_dataset
    from scale_eval.datasets.transactions import Transactions

__all__ = ["Dataset", "Transactions", "open_dataset"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Dataset": "scale_eval.datasets.dataset",
        "Transactions": "scale_eval.datasets.transactions",
        "open_dataset": "scale_eval.datasets.dataset",
    },
)
