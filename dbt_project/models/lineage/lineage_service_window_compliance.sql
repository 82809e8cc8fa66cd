with

records as not materialized (
    select r.*
    from (
        {{ records_as_of('service_status', ['agency_code']) }}
    ) as r
),

states as not materialized (
    select
        r.agency_code,
        w.week_start,
        r.service_code,
        r.load_id,
        r.record_no,
        r.transactions_online,
        r.transactions_total
    from {{ ref('dim_week') }} as w
    cross join lateral (
        select distinct on (s.agency_code, s.service_code) s.*
        from records as s
        where s.period_start <= w.week_start + 6
        order by
            s.agency_code asc, s.service_code asc, s.period_start desc,
            s.received_at desc, s.source asc, s.load_id desc, s.record_no desc
    ) as r
)

{{ record_line('r.agency_code, r.week_start', 'service_status', [
    ('services', 'state', 'service_code'),
    ('dedicated', 'state', 'is_dedicated'),
    ('dedicated_on_window', 'state', 'is_dedicated'),
    ('dedicated_on_window', 'state', 'is_on_agency_window'),
    ('passes_third_all', 'state', 'is_dedicated'),
    ('passes_third_all', 'state', 'is_on_agency_window'),
    ('high_use', 'state', 'is_high_use'),
    ('high_use_on_window', 'state', 'is_high_use'),
    ('high_use_on_window', 'state', 'is_on_agency_window'),
    ('passes_third_high_use', 'state', 'is_high_use'),
    ('passes_third_high_use', 'state', 'is_on_agency_window'),
    ('high_use_first_violations', 'state', 'is_high_use'),
    ('high_use_first_violations', 'state', 'is_on_agency_window'),
    ('on_national_window', 'state', 'is_on_national_window'),
    ('identity_cards', 'state', 'has_identity_card'),
    ('reengineered', 'state', 'is_reengineered'),
    ('sso', 'state', 'has_sso'),
    ('once_only', 'state', 'is_once_only'),
    ('online_share', 'numerator', 'transactions_online'),
    ('online_share', 'denominator', 'transactions_total')
], 'states as r') }}
where
    c.mart_column <> 'online_share'
    or (r.transactions_online is not null and r.transactions_total is not null)

union all

select
    r.agency_code,
    w.week_start,
    'catalogue_first' as mart_column,
    'state' as role,
    'service_status' as kind,
    r.load_id,
    r.record_no,
    'service_code' as field,
    null::numeric as weight
from {{ ref('dim_week') }} as w
cross join lateral (
    select
        s.*,
        min({{ week_of('s.period_start') }}) over (partition by s.agency_code) as first_week
    from records as s
) as r
where r.period_start <= r.first_week + 6 and w.week_start >= r.first_week

union all

{{ record_line('r.agency_code, w.week_start', 'obligation_event', [
    ('dashboard_built', 'event', 'status'),
    ('dashboard_operating', 'event', 'status'),
    ('dashboard_connected', 'event', 'status')
], ref('dim_week') ~ ' as w
    inner join ' ~ ref('stg_obligation_event_as_of') ~ ' as r on w.week_start + 6 >= r.event_on') }}
where r.obligation_code = 'A21' and r.status in ('built', 'operating', 'connected')
