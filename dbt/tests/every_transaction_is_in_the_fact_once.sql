-- Silver may have grown since the fact was built (streams run beside dbt), so only what the fact could know is compared.
with silver as (
    select event_id from {{ ref('stg_transactions') }}
    where arrived_at < (select max(features_arrived_at) from {{ ref('fct_transactions') }})
),

fact as (
    select event_id from {{ ref('fct_transactions') }}
)

select silver.event_id
from silver
left anti join fact on silver.event_id = fact.event_id
