with

slices as not materialized (
    select s.*
    from (
        {{ records_as_of('progress', ['project_code', 'province_code']) }}
    ) as s
    where s.province_code <> '' and s.activity = ''
),

grid as not materialized (
    select
        p.project_code,
        v.province_code,
        w.week_start,
        w.jalali_year
    from {{ ref('project') }} as p
    cross join {{ ref('province') }} as v
    cross join {{ ref('dim_week') }} as w
),

governing as not materialized (
    select
        g.project_code,
        g.province_code,
        g.week_start,
        r.load_id,
        r.record_no,
        r.planned_pct,
        r.actual_pct
    from grid as g
    cross join lateral (
        select s.*
        from slices as s
        left join {{ ref('project_agency') }} as b
            on s.project_code = b.project_code and s.agency_code = b.agency_code and b.is_lead
        where
            s.project_code = g.project_code
            and s.province_code = g.province_code
            and s.period_start = g.week_start
        order by
            (b.agency_code is not null) desc,
            s.received_at desc, s.source asc, s.load_id desc, s.record_no desc
        limit 1
    ) as r
),

first_reports as not materialized (
    select
        g.project_code,
        g.province_code,
        g.week_start,
        r.load_id,
        r.record_no
    from grid as g
    cross join lateral (
        select distinct on (s.source) s.*
        from slices as s
        where
            s.project_code = g.project_code
            and s.province_code = g.province_code
            and s.period_start <= g.week_start
        order by s.source, s.period_start
    ) as r
),

last_reports as not materialized (
    select
        g.project_code,
        g.province_code,
        g.week_start,
        r.load_id,
        r.record_no
    from grid as g
    cross join lateral (
        select s.*
        from slices as s
        where
            s.project_code = g.project_code
            and s.province_code = g.province_code
            and s.period_start <= g.week_start
        order by s.period_start desc, s.source asc
        limit 1
    ) as r
)

select
    r.project_code,
    r.province_code,
    r.week_start,
    c.mart_column,
    c.role,
    'progress' as kind,
    r.load_id,
    r.record_no,
    c.field,
    null::numeric as weight
from governing as r
cross join {{ lineage_columns([
    ('actual_pct', 'value', 'actual_pct'),
    ('planned_pct', 'plan', 'planned_pct'),
    ('variance_pct', 'value', 'actual_pct'),
    ('variance_pct', 'plan', 'planned_pct'),
    ('spi', 'value', 'actual_pct'),
    ('spi', 'plan', 'planned_pct'),
    ('status_band', 'value', 'actual_pct'),
    ('status_band', 'plan', 'planned_pct')
]) }}

union all

select
    r.project_code,
    r.province_code,
    r.period_start as week_start,
    c.mart_column,
    c.role,
    'progress' as kind,
    r.load_id,
    r.record_no,
    c.field,
    null::numeric as weight
from slices as r
cross join {{ lineage_columns([
    ('reporters_received', 'report', 'period_start'),
    ('coverage', 'report', 'period_start'),
    ('conflict_count', 'value', 'actual_pct')
]) }}

union all

select
    r.project_code,
    r.province_code,
    r.week_start,
    c.mart_column,
    c.role,
    'progress' as kind,
    r.load_id,
    r.record_no,
    c.field,
    null::numeric as weight
from first_reports as r
cross join {{ lineage_columns([
    ('reporters_expected', 'first report', 'period_start'),
    ('coverage', 'first report', 'period_start')
]) }}

union all

select
    r.project_code,
    r.province_code,
    r.week_start,
    'weeks_since_report' as mart_column,
    'last report' as role,
    'progress' as kind,
    r.load_id,
    r.record_no,
    'period_start' as field,
    null::numeric as weight
from last_reports as r

union all

select
    g.project_code,
    g.province_code,
    g.week_start,
    c.mart_column,
    c.role,
    c.field as kind,
    null::bigint as load_id,
    null::integer as record_no,
    case c.mart_column
        when 'week_label' then 'first day of ' || g.jalali_year
        else 'variance limits of the bands'
    end as field,
    null::numeric as weight
from grid as g
cross join {{ lineage_columns([
    ('week_label', 'calendar', 'reference:official_leap_year'),
    ('status_band', 'rule', 'reference:status_band')
]) }}
