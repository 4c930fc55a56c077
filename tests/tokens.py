"""Tokens and card numbers made in plain Python, apart from Spark's."""

from __future__ import annotations

import hashlib
import hmac
import re

KEY = "schlüssel of the tests".encode()


def python_token(value: str, kind: str, key: bytes = KEY) -> str:
    """What `spark_jobs.personal.token` must give."""
    if kind in ("card", "phone"):
        value = re.sub("[^0-9]", "", value)
        value = value.removeprefix("00") if kind == "phone" else value
    else:
        value = value.strip().lower() if kind == "email" else value.strip()
    return f"{kind}_{hmac.new(key, f'{kind}:{value}'.encode(), hashlib.sha256).hexdigest()[:32]}"


def is_luhn(digits: str) -> bool:
    """Whether the digits, every second from the right doubled and its digits added, sum up to a multiple of 10."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0


def filled(template: str, key: bytes = KEY) -> str:
    """`mail <email:a@b.co>` with the token in the place of the brackets."""
    return re.sub(r"<(email|card|phone):([^>]*)>", lambda found: python_token(found[2], found[1], key), template)


def bare(template: str) -> str:
    """`mail <email:a@b.co>` with the value in the place of the brackets."""
    return re.sub(r"<(email|card|phone):([^>]*)>", r"\2", template)
