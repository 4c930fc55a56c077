"""What `read_error` says of a file or line that could not be taken as it is."""

from __future__ import annotations

from lake.inbox import BOMB_RATIO, MAX_HEADER_BYTES, MAX_LINE_BYTES

# Of a file as a whole (line number 0). Of a file that is damaged, what gzip or the operating system said.
EMPTY_FILE = "The file is empty"
NO_RECORD = "The file has a header and no record"
LINK = "The file is a symbolic link: put the file itself"
NOT_A_FILE = "This is a folder, pipe, socket or device: put a file"
VANISHED = "The file vanished before it was read"
CHANGED = "The file changed while it was read: write under a hidden name, then rename"
CSV_REFUSED = "CSV is taken for reference feeds only: write JSON lines"
HEADER_TOO_LONG = f"The header is longer than {MAX_HEADER_BYTES >> 10} KiB"
TOO_MANY_BYTES = f"The file unpacks to more than {BOMB_RATIO} times its size"
TOO_MANY_LINES = "The file unpacks to more lines than it has bytes"

# Of one line, of which the start is kept.
LINE_TOO_LONG = f"The line is longer than {MAX_LINE_BYTES >> 20} MiB"
