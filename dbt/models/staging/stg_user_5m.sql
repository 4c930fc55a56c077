with source as (
    select * from {{ source('features', 'user_5m') }}
),

renamed as (
    select
        event_id,
        event_time,
        event_date,
        txn_count_5m,
        amount_sum_5m,
        distinct_merchants_5m,
        distinct_countries_5m,
        seconds_since_previous,
        country_changed,
        updated_at
    from source
)

select * from renamed
