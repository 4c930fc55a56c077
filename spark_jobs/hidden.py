"""Constants that stand in no plan, column name, log line or error message: keys, and words that Delta would log."""

from __future__ import annotations

from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.utils import get_active_spark_context


def hidden(constants: list[bytes], name: str) -> list[Column]:
    """Constants that Spark shows as `name(0)`, `name(1)` and so on.

    A literal would be printed with every plan. `spark.sql.redaction.string.regex` takes it out of `explain` alone: the
    names of unaliased columns show it, and so does the plan inside each AnalysisException, which PySpark also logs;
    Delta writes the condition of an UPDATE into the log of the table.
    A Scala list is a function from position to element; as such Spark calls it, and never prints what it holds.
    """
    jvm: Any = get_active_spark_context()._jvm
    function = jvm.org.apache.spark.sql.expressions.SparkUserDefinedFunction(
        jvm.PythonUtils.toSeq(constants),
        jvm.org.apache.spark.sql.types.DataTypes.BinaryType,
        jvm.PythonUtils.toSeq([]),  # the position needs no encoder,
        jvm.scala.Option.empty(),  # nor do the bytes
        jvm.scala.Option.apply(name),
        False,  # never null
        True,  # the same each time
    )
    positions = range(len(constants))
    return [Column(function.apply(jvm.PythonUtils.toSeq([F.lit(position)._jc]))) for position in positions]


def hidden_text(text: str, name: str) -> Column:
    """A text that Spark shows as `decode(name(0), UTF-8)`."""
    return F.decode(hidden([text.encode()], name)[0], "UTF-8")
