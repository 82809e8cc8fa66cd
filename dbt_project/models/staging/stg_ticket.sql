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
        ticket_code,
        project_code,
        obligation_code,
        agency_code,
        theme_code,
        severity,
        opened_at,
        due_at,
        closed_at,
        title
    from {{ source('raw', 'ticket') }}
)

select * from records
