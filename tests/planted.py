"""A made-up person, planted wherever producers might put one, and a search for what may stand in bronze only."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq

from tests.lines_of_feeds import line

EMAIL, PHONE, CARD = "zelda.quartz@planted.example", "+62 855 7391 064", "4539 5787 6362 1486"
NAME = "Zelda Quartzwood"
_DIGITS = "4539578763621486"
# What tells the person, in small letters.
TRACES = ("zelda.quartz", "quartzwood", "8557391064", "855 7391 064", _DIGITS, CARD)
# Folders that hold what producers wrote, as they wrote it.
RAW = ("inbox", "archive", "bronze")


def _payment(number: int, **fields: object) -> str:
    known = {"event_id": f"planted{number}", "user_id": EMAIL, "event_time": f"2026-01-05T10:0{number % 4}:00Z"}
    return line("transactions", **(known | fields))


_BURST = [
    _payment(n, merchant_id=EMAIL, device_id=EMAIL, payment_method_id=CARD, product_id=_DIGITS, status=f"by {EMAIL}")
    for n in range(4)
]
ACCEPTED_PAYMENTS = [
    *_BURST,
    _payment(4, note=f"call {PHONE}", wallet={"card": int(_DIGITS), "mail": [EMAIL]}, **{EMAIL: CARD}),
    _payment(5, note=EMAIL).replace("@", "\\u0040"),
]
REPEATED_PAYMENTS = [_BURST[0]]
REFUSED_PAYMENTS = [
    _payment(0, status=f"now by {PHONE}"),
    _payment(6, amount=EMAIL),
    _payment(7, currency=EMAIL, country=CARD, event_time=PHONE),
    _payment(8, channel=EMAIL, quantity=_DIGITS),
    _payment(9, status=[EMAIL, {"name": NAME}]),
    f"{EMAIL}, {PHONE}, {CARD}",
    f'{{"event_id": "planted", "user_id": "{EMAIL}", "status": "{CARD}',
]
PAYMENTS = [*ACCEPTED_PAYMENTS, *REPEATED_PAYMENTS, *REFUSED_PAYMENTS]

_USER = {"user_id": "planted", "name": NAME, "email": EMAIL, "phone_number": PHONE}
_CSV = "user_id,name,email,phone_number,created_date,source"
# By feed and name of a file.
FILES: dict[tuple[str, str], list[str]] = {
    ("transactions", "planted.jsonl"): PAYMENTS,
    ("users", "planted.jsonl"): [
        line("users", **_USER, note=f"{PHONE} or {EMAIL}", **{EMAIL: {"cards": [CARD]}}),
        line("users", **_USER | {"name": NAME.upper(), "email": EMAIL.upper(), "phone_number": "+628557391064"}),
        line("users", **_USER | {"name": [NAME], "email": {"work": EMAIL}, "phone_number": 628557391064}),
        line("users", **_USER | {"created_date": EMAIL}),
        f'{{"user_id": "planted", "phone_number": "{PHONE}", "email": "{EMAIL}", "name": "{NAME}',
    ],
    ("users", "planted.csv"): [
        _CSV,
        f'planted2,"{NAME}",{EMAIL},{PHONE},2024-03-01,{EMAIL}',
        f'planted3,"{NAME}",{EMAIL}',
    ],
    ("merchants", "planted.jsonl"): [
        line("merchants", merchant_id=EMAIL, name=f"Shop of {EMAIL}", category=f"calls from {PHONE}"),
    ],
    ("products", "planted.jsonl"): [
        line("products", product_id=_DIGITS, product_name=f"Gift for {EMAIL}", source=CARD),
        line("products", product_id="planted", price=EMAIL),
    ],
    ("devices", "planted.jsonl"): [line("devices", device_id=EMAIL, user_id=EMAIL, kind=f"phone {PHONE}")],
    ("payment_methods", "planted.jsonl"): [
        line("payment_methods", payment_method_id=_DIGITS, user_id="planted", kind=CARD, holder=EMAIL),
    ],
    ("orders", "planted.jsonl"): [
        line("orders", order_id=EMAIL, user_id=EMAIL, product_id=CARD, source=EMAIL, note=f"to {PHONE}"),
        line("orders", order_id="planted", amount=f"Rp {EMAIL}"),
    ],
    ("behaviour", "planted.jsonl"): [
        line("behaviour", event_id="planted", user_id=EMAIL, kind=f"mailed {EMAIL}", session_id=CARD),
    ],
    ("disputes", "planted.jsonl"): [
        line("disputes", dispute_id=EMAIL, event_id="planted0", reason=f"{EMAIL} never paid", outcome=PHONE),
    ],
}  # fmt: skip


def traces_in(text: str) -> list[str]:
    """What of the person a text tells."""
    return [trace for trace in TRACES if trace in text.casefold()]


def traces_under(folder: Path, *, but: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """What files under a folder tell of the person, by path; without those of some of its folders."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    kept = (file for file in files if file.relative_to(folder).parts[0] not in but)
    found = {str(file.relative_to(folder)): traces_in(_text_of(file)) for file in kept}
    return {path: traces for path, traces in found.items() if traces}


def _text_of(file: Path) -> str:
    if file.suffix == ".parquet":
        # A file by itself: of its folder, the name would be taken for a partition.
        rows = pq.ParquetFile(file).read().to_pylist()
        return json.dumps(rows, default=str, ensure_ascii=False)
    content = file.read_bytes()
    return (gzip.decompress(content) if file.suffix == ".gz" else content).decode("utf-8", errors="replace")
