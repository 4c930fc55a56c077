with source as (
    select * from {{ source('alerts', 'alerts') }}
),

renamed as (
    select
        event_id,
        event_time,
        rule,
        severity,
        state = 'open' as is_open,
        updated_at
    from source
    where watches = 'transactions'
)

select * from renamed
