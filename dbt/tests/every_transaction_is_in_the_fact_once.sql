-- The lake may have grown since the fact was built (streams run beside dbt), so only what the fact could know is compared:
-- every transaction whose features were written before the newest that it holds.
with known as (
    select event_id, event_time from {{ ref('stg_user_5m') }}
    where updated_at < (select max(features_updated_at) from {{ ref('fct_transactions') }})
),

fact as (
    select event_id, event_time from {{ ref('fct_transactions') }}
)

select known.event_id
from known
left anti join fact on known.event_id = fact.event_id and known.event_time = fact.event_time
