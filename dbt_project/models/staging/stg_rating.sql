with

records as (
    select
        load_id,
        record_no,
        source,
        record_key,
        period_kind,
        period_start,
        reported_at,
        received_at,
        is_retracted,
        is_hidden,
        cells_required,
        cells_filled,
        locator,
        lineage,
        project_code,
        agency_code,
        author,
        rated_on,
        scale,
        value,
        reason
    from {{ source('raw', 'rating') }}
)

select * from records
