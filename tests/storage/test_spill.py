"""Spilled tables are read as they were written, and are gone at the end."""

from __future__ import annotations

import pyarrow as pa
import pytest

from scale_eval.storage import (
    Spill,
)
from tests.support.stores import NUMBERS, files


class TestSpill:
    @pytest.mark.parametrize("compressed", [False, True])
    def test_parts_are_read_as_they_were_appended_and_gone_at_the_end(self, store, compressed):
        with Spill(store.scratch(), "aside", NUMBERS.schema, compressed=compressed) as spill:
            for part in (3, 0, 3):
                spill.append(part, NUMBERS)
            three = spill.read(3)
            assert three.equals(pa.concat_tables([NUMBERS, NUMBERS]))
            assert spill.read(3).equals(three)
            assert spill.read(7).equals(NUMBERS.schema.empty_table())
            spill.remove(3)
            assert three.equals(pa.concat_tables([NUMBERS, NUMBERS]))
            assert len(files(store)) == 1
            assert store.names("*") == []
        assert files(store) == []

    def test_what_a_process_left_that_died_is_removed_as_unfinished(self, store):
        spill = Spill(store.scratch(), "aside", NUMBERS.schema, compressed=True)
        spill.append(0, NUMBERS)
        spill.finish(0)
        assert len(files(store)) == 1
        store.delete_unfinished()
        assert files(store) == []
