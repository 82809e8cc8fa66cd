-- a plain select: a WITH would keep joins from the table's indexes
select
    load_id,
    item_no,
    source,
    kind,
    scope,
    reason_code,
    field,
    locator,
    record_no,
    agency_code,
    province_code,
    period_kind,
    period_start,
    received_at
from {{ source('raw', 'quarantine') }}
