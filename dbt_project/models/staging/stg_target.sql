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
        indicator_code,
        project_code,
        province_code,
        revision,
        baseline,
        target,
        effective_from,
        revised_by,
        reason
    from {{ source('raw', 'target') }}
)

select * from records
