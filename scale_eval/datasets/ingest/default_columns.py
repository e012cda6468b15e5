"""The columns that files of transactions have, unless the caller names others."""

from __future__ import annotations

DEFAULT_COLUMNS = {
    "customer_id": "CustomerID",
    "timestamp": "Timestamp",
    "value": "PurchaseValue",
}
"""Names of the columns by role."""
