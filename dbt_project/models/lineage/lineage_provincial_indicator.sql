with

cells as not materialized (
    select distinct on (s.indicator_code, s.province_code, s.period_kind, s.period_start) s.*
    from (
        {{ records_as_of('indicator_value', ['indicator_code']) }}
    ) as s
    where s.province_code <> ''
    order by
        s.indicator_code asc, s.province_code asc, s.period_kind asc, s.period_start asc,
        s.received_at desc, s.source asc, s.agency_code asc, s.load_id desc, s.record_no desc
),

aims as not materialized (
    select s.*
    from (
        {{ records_as_of('target', ['indicator_code']) }}
    ) as s
    where s.indicator_code <> ''
),

cell_aims as not materialized (
    select
        k.indicator_code,
        k.province_code,
        k.period_kind,
        k.period_start,
        t.load_id,
        t.record_no
    from cells as k
    cross join lateral (
        select a.*
        from aims as a
        where
            a.indicator_code = k.indicator_code
            and a.period_kind = k.period_kind
            and a.period_start = k.period_start
            and a.province_code in (k.province_code, '')
        order by
            a.province_code desc, a.revision desc, a.received_at desc, a.source asc,
            a.load_id desc, a.record_no desc
        limit 1
    ) as t
)

select
    r.indicator_code,
    r.province_code,
    r.period_kind,
    r.period_start,
    c.mart_column,
    c.role,
    'indicator_value' as kind,
    r.load_id,
    r.record_no,
    c.field,
    null::numeric as weight
from cells as r
cross join {{ lineage_columns([
    ('value', 'value', 'value'),
    ('value', 'numerator', 'numerator'),
    ('value', 'denominator', 'denominator'),
    ('realisation', 'value', 'value'),
    ('realisation', 'numerator', 'numerator'),
    ('realisation', 'denominator', 'denominator'),
    ('realisation_clipped', 'value', 'value'),
    ('realisation_clipped', 'numerator', 'numerator'),
    ('realisation_clipped', 'denominator', 'denominator'),
    ('realisation_reason', 'value', 'value'),
    ('source', 'value', 'period_start'),
    ('is_simulated', 'value', 'period_start'),
    ('period_label', 'value', 'period_start')
]) }}
where
    c.field = 'period_start'
    or (c.field = 'value' and (r.value is not null or r.numerator is null))
    or (c.field in ('numerator', 'denominator') and r.value is null and r.numerator is not null)

union all

select
    t.indicator_code,
    t.province_code,
    t.period_kind,
    t.period_start,
    c.mart_column,
    c.role,
    'target' as kind,
    t.load_id,
    t.record_no,
    c.field,
    null::numeric as weight
from cell_aims as t
cross join {{ lineage_columns([
    ('baseline', 'baseline', 'baseline'),
    ('target', 'target', 'target'),
    ('realisation', 'baseline', 'baseline'),
    ('realisation', 'target', 'target'),
    ('realisation_clipped', 'baseline', 'baseline'),
    ('realisation_clipped', 'target', 'target'),
    ('realisation_reason', 'baseline', 'baseline'),
    ('realisation_reason', 'target', 'target')
]) }}

union all

-- a rank stands on every province's value
select
    r.indicator_code,
    r.province_code,
    r.period_kind,
    r.period_start,
    c.mart_column,
    case when r.province_code = o.province_code then 'value' else c.role end as role,
    'indicator_value' as kind,
    o.load_id,
    o.record_no,
    c.field,
    null::numeric as weight
from cells as r
inner join cells as o
    on
        r.indicator_code = o.indicator_code
        and r.period_kind = o.period_kind
        and r.period_start = o.period_start
cross join {{ lineage_columns([
    ('rank', 'peer', 'value'),
    ('rank_n', 'peer', 'value')
]) }}

union all

select
    r.indicator_code,
    r.province_code,
    r.period_kind,
    r.period_start,
    c.mart_column,
    c.role,
    'reference:indicator' as kind,
    null::bigint as load_id,
    null::integer as record_no,
    r.indicator_code as field,
    null::numeric as weight
from cells as r
cross join {{ lineage_columns([
    ('unit', 'definition', ''),
    ('rank', 'direction and minimum n', '')
]) }}
