"""Figures of somebody who looks at the top of the list."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml import alerting

MONDAY, TUESDAY = pd.Timestamp("2025-10-06"), pd.Timestamp("2025-10-07")


def cards(*rows: tuple[pd.Timestamp, str, float, bool]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["day", "user_id", "score", "is_fraud"])


def test_a_card_is_ranked_by_its_highest_score_of_the_day() -> None:
    found = cards(
        (MONDAY, "a", 0.1, True), (MONDAY, "a", 0.9, False), (MONDAY, "b", 0.5, False), (MONDAY, "c", 0.4, True)
    )
    assert alerting.card_precision(found, 1) == 1.0
    assert alerting.card_precision(found, 2) == 0.5


def test_a_card_that_was_found_is_not_looked_at_again() -> None:
    found = cards((MONDAY, "a", 0.9, True), (TUESDAY, "a", 0.9, True), (TUESDAY, "b", 0.5, False))
    assert alerting.card_precision(found, 1) == 0.5


def test_a_card_that_was_missed_may_be_found_the_next_day() -> None:
    found = cards((MONDAY, "a", 0.1, True), (MONDAY, "b", 0.9, False), (TUESDAY, "a", 0.9, True))
    assert alerting.card_precision(found, 1) == 0.5


def test_card_precision_is_over_k_even_where_fewer_cards_paid() -> None:
    assert alerting.card_precision(cards((MONDAY, "a", 0.9, True)), 20) == pytest.approx(1 / 20)
    assert alerting.card_precision(cards(), 20) is None


def test_no_scores_beat_the_perfect_ones() -> None:
    draw = np.random.default_rng(0)
    rows = [
        (day, f"u{draw.integers(30)}", float(draw.random()), bool(draw.random() < 0.1))
        for day in (MONDAY, TUESDAY)
        for _ in range(80)
    ]
    best = alerting.perfect_card_precision(cards(*rows), 5)
    assert best is not None
    assert all((alerting.card_precision(cards(*rows), 5, seed) or 0) <= best for seed in range(3))


def test_a_card_is_known_from_the_day_after_its_report() -> None:
    test = pd.DataFrame({"user_id": ["a", "a", "b"], "day": [MONDAY, TUESDAY, TUESDAY]})
    known_at = pd.Series({"a": pd.Timestamp("2025-10-06 12:00")})
    assert alerting.is_known_card(test, known_at).tolist() == [False, True, False]


def test_recall_shares_ties_at_the_edge_of_the_budget() -> None:
    is_fraud = np.array([True, True, False, False])
    assert alerting.recall_at(is_fraud, np.array([0.9, 0.8, 0.1, 0.0]), 0.5) == 1.0
    assert alerting.recall_at(is_fraud, np.full(4, 0.5), 0.5) == 0.5
    assert alerting.recall_at(np.zeros(4, dtype=bool), np.full(4, 0.5), 0.5) is None


def test_a_threshold_row_counts_alerts_frauds_and_their_amounts() -> None:
    events = pd.DataFrame(
        {"score": [0.9, 0.8, 0.2, 0.1], "is_fraud": [True, False, True, False], "value": [3.0, 1.0, 1.0, 1.0]}
    )
    row = alerting.threshold_row(events, 0.5, days=2)
    assert row["threshold"] == 0.8
    assert (row["alerts_per_day"], row["precision"], row["recall"], row["amount_share"]) == (1, 0.5, 0.5, 0.75)


def test_amounts_of_two_currencies_are_multiples_of_their_medians() -> None:
    events = pd.DataFrame({"currency": ["USD", "USD", "IDR"], "amount": [10.0, 30.0, 1_250_000.0]})
    assert alerting.in_typical_payments(events).tolist() == [0.5, 1.5, 1.0]
