"""Labels: which transactions are frauds, and what of it was known when.

A dispute counts as a fraud where its reason starts with `fraud` (any case): `fraud`, `fraud_card_testing`,
`fraud: scenario 2`. Other chargebacks (`product_not_received`, `duplicate`) are quarrels about goods, not frauds.
"""

from __future__ import annotations

import re
from datetime import datetime

import pandas as pd

FRAUD_PREFIX = "fraud"
# The reason of a fraud that no bank has disputed, but an analyst has found.
BY_ANALYST = f"{FRAUD_PREFIX}: found by an analyst"
_PREFIX_AND_SEPARATOR = re.compile(r"^fraud[\s:_/\-]+", re.IGNORECASE)


def scenario_of(reason: str) -> str:
    """The scenario that a fraud's reason names: what follows `fraud` and a separator, or else the whole reason."""
    return _PREFIX_AND_SEPARATOR.sub("", reason.strip()) or reason.strip()


def known_frauds(reported_at: pd.Series, moment: datetime) -> pd.Series:
    """Whether a fraud dispute had been reported before `moment`; one bool an event.

    `reported_at` is the first report of each event, UTC without zone, NaT where there is none. An event that nobody
    has disputed by then counts as legitimate, as it would on the day.
    """
    return reported_at < pd.Timestamp(moment).tz_localize(None)


def all_frauds(reported_at: pd.Series) -> pd.Series:
    """Whether a fraud dispute was ever reported, whenever; one bool an event."""
    return reported_at.notna()
