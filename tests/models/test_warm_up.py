"""Compilation that is told of when it happens, and only then."""

from __future__ import annotations

import numba

from scale_eval.models.warm_up import compilation_reported


def test_the_first_compilation_in_the_block_is_reported_once():
    @numba.njit
    def double(x):
        return 2 * x

    @numba.njit
    def treble(x):
        return 3 * x

    told = []
    with compilation_reported(lambda: told.append(1)):
        assert not told
        double(1)
        treble(1)
        double(1.5)
    assert told == [1]
    with compilation_reported(lambda: told.append(2)):
        double(1)  # it is compiled
    treble(2.5)  # it is compiled after the block
    assert told == [1]
