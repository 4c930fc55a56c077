{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key=['event_id', 'event_time'],
        partition_by=['event_date'],
        on_schema_change='fail'
    )
}}

with transactions as (
    select * from {{ ref('stg_transactions') }}
),

features as (
    select * from {{ ref('stg_user_5m') }}
),

alerts as (
    select
        event_id,
        event_time,
        count_if(is_open) as alerts,
        array_sort(collect_set(rule) filter (where is_open)) as alert_rules,
        count(*) as alert_rows,
        max(updated_at) as updated_at
    from {{ ref('stg_alerts') }}
    group by event_id, event_time
),

disputes as (
    select
        event_id,
        count(*) as disputes,
        min(reported_at) as chargeback_reported_at,
        min_by(dispute_reason, struct(reported_at, dispute_id)) as chargeback_reason,
        max(arrived_at) as arrived_at
    from {{ ref('stg_disputes') }}
    group by event_id
),

{% if is_incremental() %}
-- What was written since the last run, by each way in: features (of a new transaction, also of one that had to wait, and
-- of one that a late line corrected), an alert, a dispute. Rows of one time may be committed in two steps, so the newest
-- time is looked at again, and rows that are here already are passed over.
held as (
    select event_id, event_time, features_updated_at, alerts_updated_at, alert_rows, disputes from {{ this }}
),

changed as (
    select features.event_id, features.event_time
    from features
    left anti join held
        on features.event_id = held.event_id
        and features.event_time = held.event_time
        and features.updated_at = held.features_updated_at
    where features.updated_at >= {{ newest('features_updated_at') }}
    union
    -- One that had to wait for its user or merchant arrived before others that are here already.
    select features.event_id, features.event_time
    from features
    left anti join held on features.event_id = held.event_id and features.event_time = held.event_time
    union
    select alerts.event_id, alerts.event_time
    from alerts
    left anti join held
        on alerts.event_id = held.event_id
        and alerts.event_time = held.event_time
        and alerts.updated_at = held.alerts_updated_at
        and alerts.alert_rows = held.alert_rows
    where alerts.updated_at >= {{ newest('alerts_updated_at') }}
    union
    select transactions.event_id, transactions.event_time
    from disputes
    inner join transactions on disputes.event_id = transactions.event_id
    left anti join held
        on disputes.event_id = held.event_id and disputes.disputes = held.disputes
    where disputes.arrived_at >= {{ newest('disputes_arrived_at') }}
),
{% else %}
changed as (
    select event_id, event_time from transactions
),
{% endif %}

joined as (
    select
        transactions.event_id,
        transactions.user_id,
        transactions.merchant_id,
        transactions.amount,
        transactions.currency,
        transactions.country,
        transactions.channel,
        transactions.event_time,
        date_trunc('hour', transactions.event_time) as event_hour,
        transactions.event_date,
        features.txn_count_5m,
        features.amount_sum_5m,
        features.distinct_merchants_5m,
        features.distinct_countries_5m,
        features.seconds_since_previous,
        features.country_changed,
        coalesce(alerts.alerts, 0) as alerts,
        coalesce(alerts.alert_rules, array()) as alert_rules,
        coalesce(disputes.disputes, 0) as disputes,
        disputes.event_id is not null as is_chargeback,
        disputes.chargeback_reported_at,
        disputes.chargeback_reason,
        features.updated_at as features_updated_at,
        coalesce(alerts.alert_rows, 0) as alert_rows,
        alerts.updated_at as alerts_updated_at,
        disputes.arrived_at as disputes_arrived_at
    from transactions
    left semi join changed
        on transactions.event_id = changed.event_id and transactions.event_time = changed.event_time
    -- A transaction enters the fact with its features, so an inner join: it comes with the next run otherwise.
    inner join features
        on transactions.event_id = features.event_id and transactions.event_time = features.event_time
    left join alerts
        on transactions.event_id = alerts.event_id and transactions.event_time = alerts.event_time
    left join disputes on transactions.event_id = disputes.event_id
)

select * from joined
