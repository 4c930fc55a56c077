with source as (
    select * from {{ source('alerts', 'alerts') }}
),

renamed as (
    select
        event_id,
        rule,
        severity,
        state = 'open' as is_open,
        updated_at
    from source
    where watches = 'transactions'
)

select * from renamed
