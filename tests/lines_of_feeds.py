"""A good line of each feed, from which tests make those that differ in what matters."""

from __future__ import annotations

import json
from typing import Any

AT = "2026-01-05T10:00:00Z"
LINES: dict[str, dict[str, Any]] = {
    "users": {"user_id": "u1", "name": "Budi", "email": "budi@mail.id", "phone_number": "+62 812 3456 789",
              "created_date": "2024-03-01", "source": "app"},
    "merchants": {"merchant_id": "m1", "name": "Toko", "category": "food", "country": "ID",
                  "created_date": "1999-01-31"},
    "products": {"product_id": "g1", "product_name": "Lamp", "category": "Household", "sub_category": "Lighting",
                 "currency": "IDR", "price": "Rp 1.250.000", "cost": 900000, "created_date": "2024-03-01",
                 "source": "catalogue"},
    "devices": {"device_id": "v1", "user_id": "u1", "kind": "phone", "created_date": "2024-03-01"},
    "payment_methods": {"payment_method_id": "p1", "user_id": "u1", "kind": "debit_card", "last4": "0042",
                        "issuer_country": "ID", "created_date": "2024-03-01"},
    "transactions": {"event_id": "t1", "user_id": "u1", "merchant_id": "m1", "amount": 10.5, "currency": "IDR",
                     "country": "ID", "event_time": AT},
    "orders": {"order_id": "o1", "user_id": "u1", "product_id": "g1", "quantity": 2, "amount": "Rp 1.250.000",
               "country": "ID", "created_date": AT, "status": "Pending"},
    "behaviour": {"event_id": "b1", "user_id": "u1", "kind": "view", "event_time": AT},
    "disputes": {"dispute_id": "d1", "event_id": "t1", "reason": "fraud", "amount": 10.5, "currency": "IDR",
                 "reported_at": AT, "outcome": "lost"},
}  # fmt: skip


def line(feed: str, **fields: Any) -> str:
    return json.dumps(LINES[feed] | fields)
