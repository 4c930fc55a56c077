"""HMAC-SHA256 as a Column, whose key stands in no plan, column name, log line or error message."""

from __future__ import annotations

import hashlib
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.utils import get_active_spark_context

_BLOCK_BYTES = 64


def hmac_sha256(message: Column, key: bytes) -> Column:
    """HMAC-SHA256 (RFC 2104) of the UTF-8 bytes of a text, as 64 lower-case hex digits; null for null."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
    inner, outer = _hidden([bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C)])
    digest = F.sha2(F.concat(inner, message.cast("binary")), 256)
    return F.sha2(F.concat(outer, F.unhex(digest)), 256)


def _hidden(constants: list[bytes]) -> list[Column]:
    """Constants that Spark shows as `masking_key(0)`, `masking_key(1)` and so on.

    A literal would be printed with every plan. `spark.sql.redaction.string.regex` takes it out of `explain` alone: the
    names of unaliased columns show it, and so does the plan inside each AnalysisException, which PySpark also logs.
    A Scala list is a function from position to element; as such Spark calls it, and never prints what it holds.
    """
    jvm: Any = get_active_spark_context()._jvm
    function = jvm.org.apache.spark.sql.expressions.SparkUserDefinedFunction(
        jvm.PythonUtils.toSeq(constants),
        jvm.org.apache.spark.sql.types.DataTypes.BinaryType,
        jvm.PythonUtils.toSeq([]),  # the position needs no encoder,
        jvm.scala.Option.empty(),  # nor do the bytes
        jvm.scala.Option.apply("masking_key"),
        False,  # never null
        True,  # the same each time
    )
    positions = range(len(constants))
    return [Column(function.apply(jvm.PythonUtils.toSeq([F.lit(position)._jc]))) for position in positions]
