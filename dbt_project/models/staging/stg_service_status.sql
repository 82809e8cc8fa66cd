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
        service_code,
        agency_code,
        service_title,
        is_dedicated,
        is_high_use,
        is_on_agency_window,
        is_on_national_window,
        has_identity_card,
        is_reengineered,
        has_sso,
        is_once_only,
        transactions_online,
        transactions_total
    from {{ source('raw', 'service_status') }}
)

select * from records
