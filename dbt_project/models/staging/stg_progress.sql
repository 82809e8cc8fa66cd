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
        province_code,
        activity,
        planned_pct,
        actual_pct,
        planned_cost_rial,
        actual_cost_rial,
        forecast_finish_on,
        has_output,
        note
    from {{ source('raw', 'progress') }}
)

select * from records
