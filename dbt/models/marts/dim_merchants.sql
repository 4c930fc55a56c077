with transactions as (
    select * from {{ ref('fct_transactions') }}
),

by_merchant as (
    select
        merchant_id,
        min(event_time) as first_transaction_at,
        max(event_time) as last_transaction_at,
        count(*) as transactions,
        count(distinct user_id) as distinct_users,
        mode(country, true) as main_country,
        mode(currency, true) as main_currency,
        percentile_approx(amount, 0.5) as median_amount,
        count_if(alerts > 0) as alerted_transactions,
        count_if(is_chargeback) as chargebacks,
        count_if(is_chargeback) / count(*) as chargeback_rate
    from transactions
    group by merchant_id
)

select * from by_merchant
