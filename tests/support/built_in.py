"""The built-in models by name, for tests of each; those of boosted trees take seconds."""

import pytest

from scale_eval.models import BUILT_IN

NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if "gradient_boosting" in name else name
    for name in BUILT_IN
]
