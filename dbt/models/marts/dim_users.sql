with transactions as (
    select * from {{ ref('fct_transactions') }}
),

by_user as (
    select
        user_id,
        min(event_time) as first_transaction_at,
        max(event_time) as last_transaction_at,
        count(*) as transactions,
        count(distinct merchant_id) as distinct_merchants,
        mode(country, true) as main_country,
        mode(currency, true) as main_currency,
        percentile_approx(amount, 0.5) as median_amount,
        count_if(alerts > 0) as alerted_transactions,
        count_if(is_chargeback) as chargebacks,
        count_if(is_chargeback) / count(*) as chargeback_rate
    from transactions
    group by user_id
)

select * from by_user
