with monitoring as (
    select sum(transactions) as transactions, sum(chargebacks) as chargebacks, sum(alerted_transactions) as alerted
    from {{ ref('mart_risk_monitoring') }}
),

fact as (
    select count(*) as transactions, count_if(is_chargeback) as chargebacks, count_if(alerts > 0) as alerted
    from {{ ref('fct_transactions') }}
)

select *
from monitoring
cross join fact
where
    monitoring.transactions != fact.transactions
    or monitoring.chargebacks != fact.chargebacks
    or monitoring.alerted != fact.alerted
