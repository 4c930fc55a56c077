"""The figures of realism: each section measures one side of what was read, and says what its values were made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from generator.attacks import SCENARIO_NAMES
from generator.disputes import LONGEST_DELAY_DAYS
from generator.payments import DAY_MS, HOUR_MS, Flags, Floats, Integers
from generator.places import COUNTRIES, CURRENCIES
from generator.plan import EPOCH
from generator.realism_rows import Reading, Rows

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# A merchant with fewer payments has its place in the ranking by chance alone.
LEAST_PAYMENTS = 6
MOST_POINTS = 60
BINS_A_DECADE = 5

Detail = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Measured:
    """A figure by its name in `realism.SPECS`; `value` is NaN where what was read does not tell, and `note` says why.

    `detail` has what it was made from: numbers by label, in named series.
    """

    name: str
    value: float
    note: str = ""
    detail: Detail = field(default_factory=dict)


def figures(reading: Reading) -> Iterator[Measured]:
    """All figures of what was read."""
    payments = reading.payments
    yield Measured("fraud_share", float(np.mean(payments.is_fraud)))
    yield from _of_amounts(payments)
    yield from _of_models(payments)
    yield from _of_times(reading)
    yield from _of_places(reading)
    yield from _of_newcomers(reading)
    yield from _of_scenarios(reading)
    yield from _of_disputes(reading)


def _of_amounts(payments: Rows) -> Iterator[Measured]:
    usd, honest, fraud = payments.usd, payments.usd[~payments.is_fraud], payments.usd[payments.is_fraud]
    median, honest_median = np.median(usd), np.median(honest)
    yield Measured("median_amount", float(median), "that of ULB is in a currency that it does not name")
    yield Measured("mean_to_median", float(usd.mean() / median))
    yield Measured("tail_to_median", float(np.quantile(honest, 0.999) / honest_median))
    low, high = np.quantile(honest, (0.01, 0.99))
    yield Measured(
        "frauds_among_honest_amounts",
        float(np.mean((fraud >= low) & (fraud <= high))) if len(fraud) else np.nan,
        f"{low:.2f} to {high:,.2f} USD, where 98 % of the honest are",
        {"honest": _by_size(honest), "fraud": _by_size(fraud)},
    )
    yield Measured("variance_between_users", _share_between(payments.user[~payments.is_fraud], np.log(honest)))


def _by_size(usd: Floats) -> Mapping[str, float]:
    """The share of amounts in each class of size, by its lower end in US dollars."""
    classes = np.arange(np.floor(np.log10(0.5) * BINS_A_DECADE), 4.5 * BINS_A_DECADE)
    edges = 10 ** (np.append(classes, classes[-1] + 1) / BINS_A_DECADE)
    counts = np.histogram(usd, edges)[0] / max(1, len(usd))
    return {f"{float(f'{edge:.3g}'):g}": float(count) for edge, count in zip(edges, counts, strict=False)}


def _share_between(group: Integers, value: Floats) -> float:
    """The share of a variance that lies between groups, freed of what few values in a group add to it by chance."""
    _, row, size = np.unique(group, return_inverse=True, return_counts=True)
    if len(size) in (1, len(value)):
        return float("nan")
    mean = np.bincount(row, value) / size
    within = float(np.sum((value - mean[row]) ** 2)) / (len(value) - len(size))
    between = float(np.var(mean[row])) - within * (len(size) - 1) / len(value)
    return between / (between + within)


def _of_models(payments: Rows) -> Iterator[Measured]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    angle = payments.local_ms % DAY_MS / DAY_MS * 2 * np.pi
    seen = np.column_stack([np.log(payments.usd), np.sin(angle), np.cos(angle)])
    # Half of the users to learn from, the others to judge by.
    is_fraud, learns = payments.is_fraud, np.unique(payments.user, return_inverse=True)[1] % 2 == 0
    is_possible = is_fraud[learns].any() and is_fraud[~learns].any()
    boosted = HistGradientBoostingClassifier(max_iter=40, max_depth=3, early_stopping=False, random_state=7)
    for name, model in (("logistic", make_pipeline(StandardScaler(), LogisticRegression())), ("boosted", boosted)):
        precision, note = np.nan, "too few frauds"
        if is_possible:
            score = model.fit(seen[learns], is_fraud[learns]).predict_proba(seen[~learns])[:, 1]
            precision = average_precision_score(is_fraud[~learns], score)
            note = f"average precision; {is_fraud[~learns].mean():.4f} by chance"
        yield Measured(f"amount_and_hour_{name}", float(precision), note)


def _of_times(reading: Reading) -> Iterator[Measured]:
    local_ms = reading.payments.local_ms
    by_hour = np.bincount(local_ms // HOUR_MS % 24, minlength=24)
    yield _ratio("hour_ratio", "payments", [f"{hour:02d}" for hour in range(24)], by_hour.astype(float))
    # A span that is no whole number of weeks has some weekdays more often than others.
    first = reading.start_ms // DAY_MS
    times = np.bincount(_weekday(np.arange(first, first + reading.span_ms // DAY_MS)), minlength=7)
    by_day = np.bincount(_weekday(local_ms // DAY_MS), minlength=7)
    yield _ratio("weekday_ratio", "payments a day", WEEKDAYS, np.where(times, by_day / np.maximum(times, 1), 0.0))


def _weekday(day: Integers) -> Integers:
    return (EPOCH.weekday() + day) % 7


def _ratio(name: str, unit: str, labels: Sequence[str], amounts: Floats) -> Measured:
    is_whole = amounts.min() > 0
    ratio = float(amounts.max() / amounts.min()) if is_whole else np.nan
    detail = {unit: dict(zip(labels, amounts.tolist(), strict=True))}
    return Measured(name, ratio, "" if is_whole else "some have no payments at all", detail)


def _of_places(reading: Reading) -> Iterator[Measured]:
    payments = reading.payments
    yield _popularity(reading)
    yield Measured("online_share", float(payments.is_online.mean()))
    yield Measured("abroad_share", float(np.mean(payments.country != payments.home)))
    codes = [country.code for country in COUNTRIES]
    yield Measured("na_share", float(np.mean(payments.country == codes.index("NA"))))
    counts = np.bincount(payments.currency, minlength=len(CURRENCIES))
    used = [currency for currency, count in zip(CURRENCIES, counts, strict=True) if count]
    decimals = {n: sum(currency.decimals == n for currency in used) for n in (0, 2, 3)}
    yield Measured(
        "currencies",
        len(used),
        f"{decimals[0]} without decimals, {decimals[2]} with two, {decimals[3]} with three",
        {"payments": {c.code: int(count) for c, count in zip(CURRENCIES, counts, strict=True)}},
    )


def _popularity(reading: Reading) -> Measured:
    """Zipf's law in the country with most payments in shops."""
    payments = reading.payments
    in_shop = payments.country[~payments.is_online]
    if not len(in_shop):
        return Measured("merchant_slope", np.nan, "no payments in shops")
    country = int(np.bincount(in_shop).argmax())
    is_here = ~payments.is_online & (payments.country == country)
    merchant = payments.merchant[is_here & (reading.merchant_country[payments.merchant] == country)]
    counts = np.sort(np.bincount(merchant))[::-1]
    counts = counts[counts >= LEAST_PAYMENTS]
    ranks = np.arange(1, len(counts) + 1)
    slope = np.polyfit(np.log(ranks), np.log(counts), 1)[0] if len(counts) > 2 else np.nan
    points = np.unique(np.geomspace(1, max(1, len(counts)), MOST_POINTS).astype(int))[: len(counts)]
    detail = {"payments": {str(rank): int(counts[rank - 1]) for rank in points.tolist()}}
    return Measured(
        "merchant_slope",
        float(slope),
        f"{COUNTRIES[country].code}, {len(counts):,} merchants; Zipf's law is -1",
        detail,
    )


def _of_newcomers(reading: Reading) -> Iterator[Measured]:
    payments = reading.payments
    yield Measured("new_user_share", float(np.mean(reading.joined_ms >= reading.start_ms)))
    _, first = np.unique(payments.device, return_index=True)
    is_new = np.zeros(len(payments), dtype=bool)
    is_new[first] = True
    # The first half is for getting to know the devices that are in use.
    judged = (payments.device != 0) & (payments.time_ms >= reading.start_ms + reading.span_ms // 2)
    shares = {
        name: float(is_new[judged & chosen].mean()) if (judged & chosen).any() else 0.0
        for name, chosen in (("honest", ~payments.is_fraud), ("fraud", payments.is_fraud))
    }
    value = float(is_new[judged].mean()) if judged.any() else np.nan
    note = f"second half; honest {shares['honest']:.1%}, frauds {shares['fraud']:.1%}"
    yield Measured("new_device_share", value, note, {"share": shares})


def _of_scenarios(reading: Reading) -> Iterator[Measured]:
    payments = reading.payments
    fraud = payments.is_fraud
    scenario, elapsed_ms = payments.scenario[fraud], payments.time_ms[fraud] - reading.start_ms
    shares = _shares(scenario)
    yield Measured("scenarios", sum(share > 0 for share in shares.values()), "", {"share": shares})
    first = _shares(scenario[elapsed_ms < reading.span_ms / 3])
    last = _shares(scenario[elapsed_ms >= reading.span_ms * 2 / 3])
    differing = sum(abs(first[name] - last[name]) for name in first) / 2
    weeks = {
        str(EPOCH + timedelta(milliseconds=reading.start_ms + start_ms)): _shares(
            scenario[(elapsed_ms >= start_ms) & (elapsed_ms < start_ms + 7 * DAY_MS)]
        )
        for start_ms in range(0, reading.span_ms, 7 * DAY_MS)
    }
    yield Measured("scenario_drift", differing, "over weeks mostly chance: the mix turns over within half a year",
                   {"first third": first, "last third": last, **weeks})  # fmt: skip


def _shares(scenario: Integers) -> dict[str, float]:
    counts = np.bincount(scenario, minlength=len(SCENARIO_NAMES))[1:]
    return dict(zip(SCENARIO_NAMES[1:], (counts / max(1, counts.sum())).tolist(), strict=True))


def _of_disputes(reading: Reading) -> Iterator[Measured]:
    payments, outstanding = reading.payments, reading.outstanding
    delays = np.sort(payments.reported_ms - payments.time_ms)[: np.isfinite(payments.reported_ms).sum()] / DAY_MS
    counts = f"{len(delays):,} disputes reported, {outstanding:,} outstanding"
    # Those that are outstanding took longer than their payments are old.
    middle, youngest = (len(delays) + outstanding) // 2, (reading.last_report_ms - payments.time_ms[-1]) / DAY_MS
    median = delays[middle] if middle < len(delays) else np.nan
    is_known = len(delays) > 0 and (not outstanding or median <= youngest)
    note = counts if is_known else f"{counts}: too early to tell"
    yield Measured("dispute_delay_median", float(median if is_known else np.nan), note)
    yield Measured(
        "dispute_delay_p99",
        float(np.quantile(delays, 0.99)) if len(delays) else np.nan,
        "of those reported: too low while others are outstanding" if outstanding else "",
    )
    charged = payments.is_charged_back
    yield Measured("undisputed_fraud_share", *_undisputed(reading, payments.is_fraud & ~payments.is_declined))
    honest = float(np.mean(~payments.is_fraud[charged])) if charged.any() else np.nan
    yield Measured("friendly_share", honest, f"{int((charged & ~payments.is_fraud).sum()):,} of {int(charged.sum()):,}")


def _undisputed(reading: Reading, fraud: Flags) -> tuple[float, str]:
    payments = reading.payments
    if reading.outstanding:
        fraud = fraud & (payments.time_ms <= reading.last_report_ms - LONGEST_DELAY_DAYS * DAY_MS)
    if not fraud.any():
        return float("nan"), f"not old enough: disputes take up to {LONGEST_DELAY_DAYS:.0f} days"
    return float(np.mean(~payments.is_charged_back[fraud])), f"{int(fraud.sum()):,} old enough"
