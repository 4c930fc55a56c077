"""The generated world is worth watching: honest life has its figures, attacks their shape, nothing is given away."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from generator.attacks import ATTACKS, SCENARIO_NAMES, share_of
from generator.disputes import FRAUD, dispute
from generator.payments import DAY_MS, HONEST, HOUR_MS, NO_PRODUCT, Payments
from generator.places import COUNTRIES, IS_DISTANT, UTC_OFFSET_MS
from generator.plan import Plan
from generator.shop_attacks import IDR_PER_USD
from generator.simulation import Simulation
from generator.world import SHOP, World

END = date(2026, 1, 31)


@pytest.fixture(scope="module")
def big() -> tuple[World, Payments]:
    plan = Plan.checked(rows=300_000, days=28, users=4000, merchants=600, seed=7, end=END)
    simulation = Simulation.of(plan)
    return simulation.world, Payments.together([simulation.payments(slot) for slot in simulation.slots])


def honest_of(payments: Payments) -> Payments:
    return payments.take(payments.scenario == HONEST)


def test_about_half_a_percent_of_payments_are_frauds_of_every_scenario(big: tuple[World, Payments]) -> None:
    _, payments = big
    assert 0.002 < np.mean(payments.scenario != HONEST) < 0.009
    assert set(payments.scenario.tolist()) == set(range(len(ATTACKS) + 1))


def test_the_mix_of_attacks_drifts_over_the_months() -> None:
    assert sum(share_of(name, 0.0) for name in ATTACKS) == pytest.approx(1.0, abs=0.01)
    half_a_year = 180 * DAY_MS
    assert share_of("card_testing", half_a_year) < share_of("card_testing", 0.0) / 2
    assert share_of("merchant_compromise", half_a_year) > share_of("merchant_compromise", 0.0) * 1.5


@pytest.mark.parametrize("split", ["user", "time"])
def test_amount_and_hour_alone_do_not_give_frauds_away(big: tuple[World, Payments], split: str) -> None:
    _, payments = big
    hour = payments.time_ms / HOUR_MS % 24 * np.pi / 12
    seen = np.column_stack([np.log(payments.usd), np.sin(hour), np.cos(hour)])
    is_fraud = payments.scenario != HONEST
    learns = payments.user % 2 == 0 if split == "user" else np.arange(len(payments)) < 0.6 * len(payments)
    boosted = HistGradientBoostingClassifier(max_iter=40, max_depth=3, early_stopping=False)
    for model in (make_pipeline(StandardScaler(), LogisticRegression()), boosted):
        model.fit(seen[learns], is_fraud[learns])
        score = model.predict_proba(seen[~learns])[:, 1]
        assert average_precision_score(is_fraud[~learns], score) < 0.3


def features_of(payments: Payments) -> np.ndarray:
    """What is known of each payment at its moment, from its user's own past: a plain oracle, row by row."""
    rows: list[list[float]] = []
    past: dict[int, list[tuple[int, float, int, int]]] = {}
    devices: set[int] = set()
    columns = zip(
        payments.user.tolist(), payments.time_ms.tolist(), np.log(payments.usd).tolist(), payments.merchant.tolist(),
        payments.country.tolist(), payments.device.tolist(), payments.is_online.tolist(), strict=True,
    )  # fmt: skip
    for user, time_ms, log_usd, merchant, country, device, is_online in columns:
        own = past.setdefault(user, [])
        recent = [seen for seen in own if seen[0] > time_ms - 5 * 60_000]
        last_hour = [seen for seen in own if seen[0] > time_ms - HOUR_MS]
        usual = sum(seen[1] for seen in own) / len(own) if own else log_usd
        rows.append(
            [
                log_usd, log_usd - usual, len(recent), len(last_hour), len({seen[2] for seen in recent}),
                float(bool(own) and own[-1][3] != country and time_ms - own[-1][0] < HOUR_MS and not is_online),
                np.log1p((time_ms - own[-1][0]) / 1000) if own else 20.0, float(device >= 0 and device not in devices),
                (time_ms / HOUR_MS + UTC_OFFSET_H[country]) % 24, float(is_online), float(merchant == SHOP),
            ]
        )  # fmt: skip
        own.append((time_ms, log_usd, merchant, country))
        del own[:-60]
        devices.add(device)
    return np.array(rows)


UTC_OFFSET_H = UTC_OFFSET_MS / HOUR_MS


def test_features_of_the_past_find_frauds_but_not_all_of_them(big: tuple[World, Payments]) -> None:
    _, payments = big
    seen, is_fraud = features_of(payments), payments.scenario != HONEST
    learns = payments.time_ms < 18 * DAY_MS
    judged = payments.time_ms >= 21 * DAY_MS
    base_rate = is_fraud[judged].mean()
    boosted = HistGradientBoostingClassifier(max_iter=80, max_depth=4, early_stopping=False, random_state=7)
    for model in (make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), boosted):
        model.fit(seen[learns], is_fraud[learns])
        found = average_precision_score(is_fraud[judged], model.predict_proba(seen[judged])[:, 1])
        assert 5 * base_rate < found < 0.8


def test_users_differ_by_about_half_of_the_variance_of_log_amounts(big: tuple[World, Payments]) -> None:
    honest = honest_of(big[1])
    log_usd = np.log(honest.usd)
    count = np.maximum(np.bincount(honest.user), 1)
    mean = np.bincount(honest.user, log_usd) / count
    assert 0.4 < np.var(mean[honest.user]) / np.var(log_usd) < 0.6


def test_the_busiest_hour_of_the_users_day_is_five_to_nine_times_the_quietest(big: tuple[World, Payments]) -> None:
    world, payments = big
    local_ms = payments.time_ms + UTC_OFFSET_MS[world.users.home[payments.user]]
    by_hour = np.bincount(local_ms // HOUR_MS % 24, minlength=24)
    assert 5 < by_hour.max() / by_hour.min() < 9


def test_fridays_and_saturdays_are_busier_than_sundays(big: tuple[World, Payments]) -> None:
    world, payments = big
    local_day = (payments.time_ms + UTC_OFFSET_MS[world.users.home[payments.user]]) // DAY_MS
    weekday = (date(2026, 1, 4).weekday() + local_day) % 7
    by_day = np.bincount(weekday, minlength=7)
    assert by_day[4] > 1.1 * by_day[0]
    assert by_day[5] > 1.2 * by_day[6]


def test_merchants_are_popular_by_zipfs_law_with_a_slope_of_about_one(big: tuple[World, Payments]) -> None:
    world, payments = big
    honest = honest_of(payments)
    home = COUNTRIES.index(next(country for country in COUNTRIES if country.code == "GB"))
    local = honest.take((world.merchants.country[honest.merchant] == home) & ~honest.is_online)
    counts = np.sort(np.bincount(local.merchant))[::-1]
    counts = counts[counts > 5]
    slope = np.polyfit(np.log(np.arange(1, len(counts) + 1)), np.log(counts), 1)[0]
    assert -1.5 < slope < -0.7


def test_a_namibian_pays_at_home_under_the_code_na(big: tuple[World, Payments]) -> None:
    _, payments = big
    codes = np.array([country.code for country in COUNTRIES])
    assert (codes[payments.country] == "NA").sum() > 100


def test_honest_life_has_bursts_that_look_like_attacks(big: tuple[World, Payments]) -> None:
    _, payments = big
    honest = honest_of(payments)
    order = np.lexsort((honest.time_ms, honest.user))
    key = honest.user[order] * 10**12 + honest.time_ms[order]
    in_5m = np.arange(1, len(key) + 1) - np.searchsorted(key, key - 5 * 60_000, side="right")
    tested = (payments.scenario == SCENARIO_NAMES.index("card_testing")).sum()
    assert tested / 3 < (in_5m >= 4).sum() < len(honest) / 100


def test_a_subscription_costs_the_same_each_month() -> None:
    plan = Plan.checked(rows=30_000, days=70, users=300, merchants=200, seed=7, end=END)
    simulation = Simulation.of(plan)
    payments = Payments.together([simulation.payments(slot) for slot in simulation.slots])
    users = simulation.world.users
    # Card on file: paid online, without a device.
    is_monthly = payments.is_online & (payments.device < 0) & (payments.scenario == HONEST)
    assert is_monthly.sum() > 200
    prices = {(u, p) for u, p in zip(payments.user[is_monthly], payments.usd[is_monthly], strict=True)}
    assert len(prices) == len({u for u, _ in prices})
    assert np.all(payments.merchant[is_monthly] == users.subscription[payments.user[is_monthly]])


def test_nobody_pays_before_joining(big: tuple[World, Payments]) -> None:
    world, payments = big
    honest = honest_of(payments)
    assert np.all(world.users.joined_ms[honest.user] <= honest.time_ms + HOUR_MS)
    assert (world.users.joined_ms > 0).sum() > 100


def test_disputes_come_late_and_are_sometimes_wrong(big: tuple[World, Payments]) -> None:
    _, payments = big
    disputes = dispute(payments, np.random.default_rng(7))
    delay_days = (disputes.reported_ms - payments.time_ms[disputes.payment]) / DAY_MS
    assert 7 < np.median(delay_days) < 10
    assert np.quantile(delay_days, 0.99) > 30
    assert delay_days.max() <= 90
    is_fraud = payments.scenario != HONEST
    by_bank = np.zeros(len(payments), dtype=bool)
    by_bank[disputes.payment[disputes.reason == FRAUD]] = True
    approved = ~payments.is_declined
    never = (is_fraud & approved & ~by_bank).sum() / (is_fraud & approved).sum()
    wrongly = (~is_fraud & by_bank).sum() / by_bank.sum()
    assert 0.01 < never < 0.07
    assert 0.01 < wrongly < 0.05


def attacked(name: str, aim: float = 400.0, **parameters: Any) -> tuple[World, Payments]:
    """A world and about so many frauds of one attack in two weeks."""
    rng = np.random.default_rng(7)
    world = World.build(users=600, merchants=200, days=14, rng=rng)
    attack = ATTACKS[name].attack
    frauds = attack(world, (0, world.span_ms), rng, aim, **parameters)
    assert 0.6 * aim < len(frauds) < 1.6 * aim
    assert np.all((frauds.time_ms >= 0) & (frauds.time_ms < world.span_ms))
    return world, frauds


def local_hour(world: World, frauds: Payments, home: bool = True) -> np.ndarray:
    offset = UTC_OFFSET_MS[world.users.home[frauds.user]] if home else UTC_OFFSET_MS[world.merchants.country[SHOP]]
    return (frauds.time_ms + offset) // HOUR_MS % 24


def test_card_testing_is_a_run_of_small_payments_and_then_larger_ones() -> None:
    _, frauds = attacked("card_testing", probes=(5, 5), hits=(1, 1))
    usd = frauds.usd.reshape(-1, 6)
    assert np.median(usd[:, :5]) < 5 < np.median(usd[:, 5])
    minutes = np.ptp(frauds.time_ms.reshape(-1, 6), axis=1) / 60_000
    assert np.median(minutes) < 5


def test_account_takeover_pays_several_times_the_usual_amount_from_a_new_device() -> None:
    world, frauds = attacked("account_takeover")
    times = frauds.usd / np.exp(world.users.log_usual[frauds.user])
    assert 2 < np.median(times) < 5
    assert np.all(frauds.device % 8 >= 4), "numbers that honest life never takes"


def test_a_compromised_merchant_has_its_regulars_pay_usual_amounts_elsewhere() -> None:
    world, frauds = attacked("merchant_compromise")
    leaks = Counter(world.users.favourites[np.unique(frauds.user), 0].tolist())
    assert len(leaks) <= 10
    times = frauds.usd / np.exp(world.users.log_usual[frauds.user])
    assert 0.7 < np.median(times) < 1.4


def test_a_night_spree_is_in_shops_between_midnight_and_five() -> None:
    world, frauds = attacked("night_spree")
    hours = local_hour(world, frauds)
    assert np.mean(hours < 5) > 0.95
    assert not frauds.is_online.any()


def test_a_bot_buys_the_same_product_three_times_and_more_in_a_row() -> None:
    _, frauds = attacked("bot_repeats")
    groups = Counter(zip(frauds.user.tolist(), frauds.product.tolist(), strict=True))
    assert min(groups.values()) >= 3
    assert np.all(frauds.product != NO_PRODUCT)
    assert np.all(frauds.merchant == SHOP)


def test_a_script_walks_through_sequential_users_with_one_product_and_quantity() -> None:
    _, frauds = attacked("scripted_sequence", accounts=(5, 5))
    users = frauds.user.reshape(-1, 5)
    assert np.all(np.diff(users, axis=1) == 1)
    for column in (frauds.product, frauds.quantity):
        assert np.all(column.reshape(-1, 5) == column.reshape(-1, 5)[:, :1])
    assert np.all(np.ptp(frauds.time_ms.reshape(-1, 5), axis=1) < 60_000)


def test_coordinated_buyers_are_many_with_the_same_product_and_quantity() -> None:
    _, frauds = attacked("coordinated_buying", buyers=(8, 8))
    assert np.all(frauds.product.reshape(-1, 8) == frauds.product.reshape(-1, 8)[:, :1])
    assert min(len(set(users)) for users in frauds.user.reshape(-1, 8).tolist()) >= 4
    assert np.all(np.ptp(frauds.time_ms.reshape(-1, 8), axis=1) < 10 * 60_000)


def test_bulk_and_dear_orders_are_placed_between_midnight_and_four() -> None:
    world, bulk = attacked("bulk_at_night")
    assert bulk.quantity.min() > 100
    assert np.all(local_hour(world, bulk, home=False) < 4)
    world, dear = attacked("dear_at_night")
    assert dear.usd.min() * IDR_PER_USD > 100_000_000
    assert np.all(local_hour(world, dear, home=False) < 4)


def test_impossible_travel_pays_far_away_minutes_after_an_honest_payment(big: tuple[World, Payments]) -> None:
    _, payments = big
    frauds = payments.take(payments.scenario == SCENARIO_NAMES.index("impossible_travel"))
    honest = honest_of(payments)
    for user, time_ms, country in zip(frauds.user[:100], frauds.time_ms, frauds.country, strict=False):
        own = (honest.user == user) & ~honest.is_online
        recent = own & (honest.time_ms < time_ms) & (honest.time_ms >= time_ms - 40 * 60_000)
        assert IS_DISTANT[honest.country[recent], country].any()
