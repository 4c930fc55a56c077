with source as (
    select * from {{ source('silver', 'disputes') }}
),

renamed as (
    select
        dispute_id,
        event_id,
        reason as dispute_reason,
        amount as disputed_amount,
        reported_at,
        arrived_at
    from source
)

select * from renamed
