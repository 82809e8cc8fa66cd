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
        obligation_code,
        agency_code,
        event_on,
        status,
        percent_pct,
        evidence,
        anchor_event,
        anchor_on,
        extended_to
    from {{ source('raw', 'obligation_event') }}
)

select * from records
