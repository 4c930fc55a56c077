"""A rule file with one rule; a test changes what matters."""

GOOD = """
rules:
  - name: many
    watches: transactions
    condition: txn_count_5m > 1
    severity: low
    state: active
    reason: "{txn_count_5m} payments"
"""
