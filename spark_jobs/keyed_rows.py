"""Rows in memory that are found by a key, at a cost that follows the rows found and not those that are there."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_jobs.id_hashes import Hashes, hashes, order_of, positions


@dataclass
class KeyedRows:
    """Rows of one schema, found by a column of text. Rows without a key are never found."""

    key: str
    schema: pa.Schema
    _pieces: list[tuple[Hashes, pa.Table]] = field(default_factory=list)

    def add(self, rows: pa.Table) -> None:
        """Add rows."""
        if rows.num_rows == 0:
            return
        self._pieces.append(_sorted(_hashes(rows[self.key]), rows.cast(self.schema)))
        # Each piece is at least twice as long as the next: few to look at, and each row is sorted few times.
        while len(self._pieces) > 1 and 2 * len(self._pieces[-1][0]) > len(self._pieces[-2][0]):
            (last, rows_of_last), (before, rows_before) = self._pieces.pop(), self._pieces.pop()
            together = pa.concat_tables([rows_of_last, rows_before])
            self._pieces.append(_sorted(np.concatenate([last, before]), together))

    def of(self, keys: pa.Array) -> pa.Table:
        """All rows with one of these keys, in any order."""
        wanted = hashes(keys.to_pylist())
        near = [rows.take(pa.array(positions(held, wanted))) for held, rows in self._pieces]
        found = pa.concat_tables([self.schema.empty_table(), *near])
        # Two keys may share a hash.
        return found.filter(pc.is_in(found[self.key], value_set=keys.drop_null()))

    def rows(self) -> pa.Table:
        """All rows, in any order."""
        return pa.concat_tables([self.schema.empty_table(), *(rows for _, rows in self._pieces)])

    def __len__(self) -> int:
        return sum(len(held) for held, _ in self._pieces)


def _hashes(keys: pa.ChunkedArray) -> Hashes:
    """Each different key becomes an object of Python, and is hashed, once."""
    encoded = keys.combine_chunks().dictionary_encode()
    # The last is that of no key.
    different = hashes([*encoded.dictionary.to_pylist(), None])
    return different[encoded.indices.fill_null(len(encoded.dictionary)).to_numpy()]


def _sorted(unsorted: Hashes, rows: pa.Table) -> tuple[Hashes, pa.Table]:
    order = order_of(unsorted)
    # One chunk a column: looking rows up in many takes long.
    return unsorted[order], rows.take(pa.array(order)).combine_chunks()
