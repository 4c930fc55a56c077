"""Transactions: a write is named by its query and micro-batch, so that Delta does it once, however often it comes.

Before it writes, Delta asks the log of the table which names it holds, and replays the log for that after each commit:
half of what an append of few rows takes. A stream that runs on has that done while nobody waits for it.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from lake.storage.pools import BESIDE, in_pool

_log = logging.getLogger(__name__)
# Of one thread: there is a core for it, and the next append comes seconds later.
_AHEAD = ThreadPoolExecutor(1, thread_name_prefix="log-ahead")


@dataclass(frozen=True)
class Transaction:
    """Names a write, so that Delta ignores it the second time: the query's id and its micro-batch.

    `is_followed` says that the query runs on, and writes again soon.
    """

    application: str
    version: int
    is_followed: bool = False


def read_ahead(spark: SparkSession, path: str) -> Future[None]:
    """Have the names in the log of a table read, beside what else is done. Delta keeps them until the next commit.

    It is of no account if this fails, as when the session ends: the append then reads them itself.
    """
    return _AHEAD.submit(_read, spark, path)


def _read(spark: SparkSession, path: str) -> None:
    try:
        with in_pool(spark, BESIDE):
            jvm: Any = spark._jvm
            # Delta reads by the settings of the session that is active in a thread.
            SparkSession._get_j_spark_session_class(jvm).setActiveSession(spark._jsparkSession)
            log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, path)
            log.unsafeVolatileSnapshot().transactions()
    except Py4JError as error:
        _log.debug("The log of %s was not read ahead: %s", path, error)
