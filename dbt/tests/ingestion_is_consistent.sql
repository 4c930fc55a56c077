-- In the last run that was reconciled, every line that was seen stands in exactly one counted place.
with runs as (
    select * from {{ source('monitoring', 'ingestion') }}
),

latest as (
    select max(measured_at) as measured_at from runs
)

select
    runs.feed,
    runs.difference,
    runs.verdict
from runs
inner join latest on runs.measured_at = latest.measured_at
where runs.verdict <> 'Consistent' or runs.difference <> 0
