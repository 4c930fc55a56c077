-- What an analyst needs to see patterns: no personal data, not even as tokens, and no fields that nobody declared.

-- needs: silver.users
create or replace view analyst.users as
select user_id, country, created_date, source, arrived_at as updated_at
from silver.users;

-- needs: silver.payment_methods
create or replace view analyst.payment_methods as
select payment_method_id, user_id, kind, issuer_country, created_date, arrived_at as updated_at
from silver.payment_methods;

-- needs: silver.transactions, features.user_5m
create or replace view analyst.transactions as
select
    t.event_id, t.user_id, t.merchant_id, t.amount, t.currency, t.country, t.channel, t.event_time, t.event_date,
    f.txn_count_5m, f.amount_sum_5m, f.distinct_merchants_5m, f.distinct_countries_5m, f.seconds_since_previous,
    f.country_changed
from silver.transactions t
left join features.user_5m f on t.event_id = f.event_id and t.event_time = f.event_time;

-- needs: features.user_windows
create or replace view analyst.user_windows as
select
    user_id, window_start, window_end, event_date, final_at, txn_count, amount_sum, amount_max, declined_count,
    distinct_merchants
from features.user_windows;

-- needs: silver.orders
create or replace view analyst.orders as
select
    order_id, user_id, product_id, quantity, amount_numeric, amount_currency, country, created_date, status, event_ts,
    event_date, source
from silver.orders;

-- needs: silver.quarantine
create or replace view analyst.quarantine as
select feed, source_file, line_number, reasons.code as codes, excerpt, arrived_at
from silver.quarantine;

-- needs: alerts.alerts
create or replace view analyst.alerts as
select
    event_id, rule, watches, user_id, entity, entity_id, event_time, event_date, severity, typology, state, score,
    decision, reason, held_by
from alerts.alerts;
