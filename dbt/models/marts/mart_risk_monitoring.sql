with transactions as (
    select * from {{ ref('fct_transactions') }}
),

by_hour as (
    select
        event_hour,
        country,
        merchant_id,
        currency,
        count(*) as transactions,
        sum(amount) as value,
        count_if(alerts > 0) as alerted_transactions,
        sum(alerts) as alerts,
        count_if(is_chargeback) as chargebacks,
        coalesce(sum(amount) filter (where is_chargeback), 0) as chargeback_value
    from transactions
    group by event_hour, country, merchant_id, currency
)

select * from by_hour
