-- a plain select: a WITH would keep joins from the table's indexes
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
    agency_code,
    province_code,
    project_code,
    allocated_rial,
    released_rial,
    spent_rial
from {{ source('raw', 'funding') }}
