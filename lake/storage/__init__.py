"""The one place that reads and writes tables, for batch and stream alike."""

from lake.storage.care import compact, data_files, has_old_files, purge, vacuum
from lake.storage.columns import add_missing_columns, missing_columns, require_columns
from lake.storage.file_system import as_glob, empty_files, make_folder, qualified
from lake.storage.pools import BESIDE, in_pool
from lake.storage.streams import (
    checkpoint,
    end_rest,
    read_stream,
    require_matching_checkpoint,
    rested_ms,
    stream_batches,
    transaction_of,
)
from lake.storage.tables import (
    alone,
    append,
    delete_matching,
    delete_where,
    ensure_tables,
    exists,
    is_written,
    merge_changes,
    read,
    read_csv,
    replace_where,
    tables_on_disk,
    update_where,
)
from lake.storage.transactions import Transaction
from lake.storage.turns import turns_of

__all__ = [
    "BESIDE",
    "Transaction",
    "add_missing_columns",
    "alone",
    "append",
    "as_glob",
    "checkpoint",
    "compact",
    "data_files",
    "delete_matching",
    "delete_where",
    "empty_files",
    "end_rest",
    "ensure_tables",
    "exists",
    "has_old_files",
    "in_pool",
    "is_written",
    "make_folder",
    "merge_changes",
    "missing_columns",
    "purge",
    "qualified",
    "read",
    "read_csv",
    "read_stream",
    "replace_where",
    "require_columns",
    "require_matching_checkpoint",
    "rested_ms",
    "stream_batches",
    "tables_on_disk",
    "transaction_of",
    "turns_of",
    "update_where",
    "vacuum",
]
