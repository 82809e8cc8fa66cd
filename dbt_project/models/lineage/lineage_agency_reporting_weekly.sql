with

sources as not materialized (
    select * from {{ ref('stg_source') }}
),

records as not materialized (
    {% for kind in record_kinds() -%}
        select
            r.source,
            r.period_kind,
            r.period_start,
            '{{ kind }}' as kind,
            r.load_id,
            r.record_no
        from {{ ref('stg_' ~ kind ~ '_as_of') }} as r
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

-- every version that the release knew, the tombstones too: the first receipt counts
versions as not materialized (
    {% for kind in record_kinds() -%}
        select
            r.source,
            r.period_kind,
            r.period_start,
            '{{ kind }}' as kind,
            r.load_id,
            r.record_no,
            r.received_at
        from {{ ref('stg_' ~ kind) }} as r
        where r.load_id in ({{ loads_known() }})
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

firsts as not materialized (
    select distinct on (v.source, v.period_kind, v.period_start) v.*
    from versions as v
    order by v.source, v.period_kind, v.period_start, v.received_at, v.load_id, v.record_no
),

-- what a finding has to be newer than to stand
newest as not materialized (
    select distinct on (v.source, v.period_kind, v.period_start) v.*
    from versions as v
    order by
        v.source asc, v.period_kind asc, v.period_start asc,
        v.received_at desc, v.load_id desc, v.record_no desc
),

progress as not materialized (
    {{ records_as_of('progress', ['project_code', 'province_code']) }}
),

-- a copied figure and the three reported weeks that it repeats
copies as not materialized (
    select
        p.source,
        p.period_kind,
        p.period_start,
        told.load_id,
        told.record_no
    from progress as p
    cross join lateral (
        select
            count(*) as reports,
            min(e.actual_pct) as lowest_pct,
            max(e.actual_pct) as highest_pct,
            (array_agg(e.planned_pct order by e.period_start))[1] as planned_pct,
            array_agg(e.load_id) as load_ids,
            array_agg(e.record_no) as record_nos
        from (
            select b.*
            from progress as b
            where
                b.project_code = p.project_code
                and b.province_code = p.province_code
                and b.source = p.source
                and b.agency_code = p.agency_code
                and b.activity = p.activity
                and b.period_start < p.period_start
                and b.actual_pct is not null
            order by b.period_start desc
            limit 3
        ) as e
    ) as before
    cross join lateral unnest(
        before.load_ids || p.load_id, before.record_nos || p.record_no
    ) as told (load_id, record_no)
    where
        before.reports = 3
        and before.lowest_pct = p.actual_pct
        and before.highest_pct = p.actual_pct
        and p.planned_pct > before.planned_pct
)

select
    s.agency_code,
    r.source,
    r.period_kind,
    r.period_start,
    c.mart_column,
    c.role,
    r.kind,
    r.load_id,
    r.record_no,
    c.field,
    null::numeric as weight
from records as r
inner join sources as s on r.source = s.source
cross join {{ lineage_columns([
    ('records', 'record', 'period_start'),
    ('cells_required', 'record', 'period_start'),
    ('cells_filled', 'record', 'period_start'),
    ('cell_completeness', 'record', 'period_start')
]) }}

union all

select
    s.agency_code,
    f.source,
    f.period_kind,
    f.period_start,
    c.mart_column,
    c.role,
    f.kind,
    f.load_id,
    f.record_no,
    c.field,
    null::numeric as weight
from firsts as f
inner join sources as s on f.source = s.source
cross join {{ lineage_columns([
    ('received', 'first receipt', 'period_start'),
    ('is_simulated', 'first receipt', 'period_start'),
    ('is_missing', 'first receipt', 'period_start'),
    ('first_received_at', 'first receipt', 'period_start'),
    ('on_time', 'first receipt', 'period_start'),
    ('late_hours', 'first receipt', 'period_start'),
    ('reporting_rate', 'first receipt', 'period_start'),
    ('on_time_rate', 'first receipt', 'period_start')
]) }}

union all

select
    s.agency_code,
    k.source,
    k.period_kind,
    k.period_start,
    'copied_forward' as mart_column,
    'same figure' as role,
    'progress' as kind,
    k.load_id,
    k.record_no,
    'actual_pct' as field,
    null::numeric as weight
from copies as k
inner join sources as s on k.source = s.source

union all

select
    s.agency_code,
    q.source,
    q.period_kind,
    q.period_start,
    c.mart_column,
    q.scope || ': ' || q.reason_code as role,
    'reference:quarantine' as kind,
    q.load_id,
    null::integer as record_no,
    q.locator as field,
    null::numeric as weight
from {{ ref('stg_quarantine') }} as q
inner join sources as s on q.source = s.source
cross join (values ('quarantined_rows'), ('quarantined_cells')) as c (mart_column)
where q.scope in ('row', 'cell') and q.load_id in ({{ loads_known() }})

union all

select
    s.agency_code,
    n.source,
    n.period_kind,
    n.period_start,
    c.mart_column,
    'latest receipt' as role,
    n.kind,
    n.load_id,
    n.record_no,
    'period_start' as field,
    null::numeric as weight
from newest as n
inner join sources as s on n.source = s.source
cross join (values ('quarantined_rows'), ('quarantined_cells')) as c (mart_column)

union all

select
    s.agency_code,
    s.source,
    'week' as period_kind,
    w.week_start as period_start,
    c.mart_column,
    c.role,
    c.field as kind,
    null::bigint as load_id,
    null::integer as record_no,
    case c.field
        when 'reference:source' then s.source || ' ' || s.spec_sha256
        else 'first day of ' || w.jalali_year
    end as field,
    null::numeric as weight
from sources as s
cross join {{ ref('dim_week') }} as w
cross join {{ lineage_columns([
    ('expected', 'duty', 'reference:source'),
    ('due_at', 'duty', 'reference:source'),
    ('is_missing', 'duty', 'reference:source'),
    ('on_time', 'duty', 'reference:source'),
    ('late_hours', 'duty', 'reference:source'),
    ('reporting_rate', 'duty', 'reference:source'),
    ('on_time_rate', 'duty', 'reference:source'),
    ('is_simulated', 'label', 'reference:source'),
    ('week_label', 'calendar', 'reference:official_leap_year')
]) }}

union all

-- weeks without a duty, periods opened again
select
    s.agency_code,
    s.source,
    'week' as period_kind,
    e.week_start as period_start,
    c.mart_column,
    c.role,
    c.field as kind,
    null::bigint as load_id,
    null::integer as record_no,
    e.exception_kind || coalesce(' ' || e.extra_hours || ' h', '') || coalesce(': ' || e.reason, '')
        as field,
    null::numeric as weight
from sources as s
left join {{ ref('agency') }} as g on s.agency_code = g.agency_code
inner join {{ ref('reporting_exception') }} as e
    on
        coalesce(e.source, s.source) = s.source
        and coalesce(e.agency_code, s.agency_code) = s.agency_code
        and (e.province_code is null or g.province_code = e.province_code)
cross join {{ lineage_columns([
    ('expected', 'exception', 'reference:reporting_exception'),
    ('due_at', 'exception', 'reference:reporting_exception'),
    ('is_missing', 'exception', 'reference:reporting_exception'),
    ('on_time', 'exception', 'reference:reporting_exception'),
    ('late_hours', 'exception', 'reference:reporting_exception'),
    ('reporting_rate', 'exception', 'reference:reporting_exception'),
    ('on_time_rate', 'exception', 'reference:reporting_exception')
]) }}
