"""The transforms of `alerts.processed_orders` and `alerts.fraud_alert`: what the rules made of each order."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.catalog import FRAUD_ALERT
from lake.feature_tables import EVENT
from spark_jobs.rules.evaluate import OPEN
from spark_jobs.rules.rule_set import APPROVE, BLOCK, RuleSet

FRAUD, GENUINE = "Fraud", "Genuine"


def processed_orders(events: DataFrame, fired: DataFrame, rules: RuleSet) -> DataFrame:
    """From orders as rules see them, and the alerts on them, to judged orders; other columns are kept behind."""
    alert = F.struct("rule", "reason")
    judged = (
        fired.where(F.col("state") == OPEN)
        .groupBy(*EVENT)
        .agg(
            F.max("score").alias("score"),
            F.max("decision").alias("decision"),
            F.sort_array(F.collect_list(alert)).alias("alerts"),
        )
    )
    joined = events.join(judged, on=list(EVENT), how="left")
    nothing = F.array().cast("array<string>")
    return joined.withColumns(
        {
            "order_id": F.col("event_id"),
            "event_ts": F.col("event_time"),
            "score": F.coalesce("score", F.lit(0)),
            "decision": F.coalesce("decision", F.lit(APPROVE)),
            "status": F.when(F.col("decision") == BLOCK, FRAUD).otherwise(GENUINE),
            "rules": F.coalesce("alerts.rule", nothing),
            "reasons": F.coalesce("alerts.reason", nothing),
            "rule_set": F.lit(rules.version),
        }
    )


def fraud_alert(processed: DataFrame) -> DataFrame:
    """Of judged orders those that are fraud, as rows of `alerts.fraud_alert`."""
    return processed.where(F.col("status") == FRAUD).select(*FRAUD_ALERT.column_names)
