"""Cache the companies that a worker read last."""

from __future__ import annotations

from collections import OrderedDict

from scale_eval.datasets import Dataset, Transactions


class CompanyCache:
    """A company cache keeps the companies read last, up to a number of bytes."""

    def __init__(self, dataset: Dataset, max_bytes: int) -> None:
        self._dataset = dataset
        self._max_bytes = max_bytes
        self._companies: OrderedDict[str, Transactions] = OrderedDict()
        self._n_bytes = 0

    def read(self, company_id: str) -> Transactions | Exception:
        """Return a company's transactions from memory or the dataset, or the error."""
        if company_id in self._companies:
            self._companies.move_to_end(company_id)
            return self._companies[company_id]
        try:
            company = self._dataset.read(company_id)
        except (OSError, ValueError, KeyError) as error:
            return error
        self._companies[company_id] = company
        self._n_bytes += company.n_bytes
        while len(self._companies) > 1 and self._n_bytes > self._max_bytes:
            _, dropped = self._companies.popitem(last=False)
            self._n_bytes -= dropped.n_bytes
        return company
