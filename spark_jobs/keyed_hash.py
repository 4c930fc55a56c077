"""HMAC-SHA256 as a Column, whose key stands in no plan, column name, log line or error message."""

from __future__ import annotations

import hashlib

from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_jobs.hidden import hidden

_BLOCK_BYTES = 64


def hmac_sha256(message: Column, key: bytes) -> Column:
    """HMAC-SHA256 (RFC 2104) of the UTF-8 bytes of a text, as 64 lower-case hex digits; null for null."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
    inner, outer = hidden([bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C)], "masking_key")
    digest = F.sha2(F.concat(inner, message.cast("binary")), 256)
    return F.sha2(F.concat(outer, F.unhex(digest)), 256)
