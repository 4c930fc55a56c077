"""The one place that reads and writes tables, for batch and stream alike."""

from lake.storage.care import compact, data_files, has_old_files, purge, vacuum
from lake.storage.columns import add_missing_columns, missing_columns, require_columns
from lake.storage.file_system import as_glob, empty_files, make_folder, qualified
from lake.storage.streams import checkpoint, query_id, read_stream, require_matching_checkpoint, stream_batches
from lake.storage.tables import (
    Transaction,
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

__all__ = [
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
    "ensure_tables",
    "exists",
    "has_old_files",
    "is_written",
    "make_folder",
    "merge_changes",
    "missing_columns",
    "purge",
    "qualified",
    "query_id",
    "read",
    "read_csv",
    "read_stream",
    "replace_where",
    "require_columns",
    "require_matching_checkpoint",
    "stream_batches",
    "tables_on_disk",
    "update_where",
    "vacuum",
]
