with source as (
    select * from {{ source('silver', 'transactions') }}
),

renamed as (
    select
        event_id,
        user_id,
        merchant_id,
        amount,
        currency,
        country,
        channel,
        event_time,
        event_date,
        arrived_at
    from source
)

select * from renamed
