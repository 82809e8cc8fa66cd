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

valued as not materialized (
    select
        k.*,
        case when k.value is null then 'numerator' else 'value' end as told_in,
        {{ ratio('1', 'count(*) over (
            partition by k.indicator_code, k.period_kind, k.period_start
        )') }} as share
    from cells as k
    where k.value is not null or (k.numerator is not null and k.denominator <> 0)
)

select
    r.indicator_code,
    r.period_kind,
    r.period_start,
    c.mart_column,
    c.role,
    'indicator_value' as kind,
    r.load_id,
    r.record_no,
    r.told_in as field,
    r.share as weight
from valued as r
cross join {{ lineage_columns([
    ('n', 'value', ''),
    ('coverage', 'value', ''),
    ('mean', 'value', ''),
    ('median', 'value', ''),
    ('stddev', 'value', ''),
    ('cv', 'value', ''),
    ('gini', 'value', ''),
    ('theil', 'value', ''),
    ('theil_between', 'value', ''),
    ('theil_within', 'value', ''),
    ('max_value', 'value', ''),
    ('min_value', 'value', ''),
    ('max_min_ratio', 'value', ''),
    ('gap_max_to_median', 'value', ''),
    ('gap_median_to_min', 'value', ''),
    ('null_reason', 'value', ''),
    ('period_label', 'value', '')
]) }}

union all

select
    k.indicator_code,
    k.period_kind,
    k.period_start,
    c.mart_column,
    c.role,
    'reference:province' as kind,
    null::bigint as load_id,
    null::integer as record_no,
    p.province_code
    || case c.role when 'region' then ' region ' || p.region_no else '' end as field,
    null::numeric as weight
from (
    select distinct
        r.indicator_code,
        r.period_kind,
        r.period_start
    from cells as r
) as k
cross join {{ ref('province') }} as p
cross join {{ lineage_columns([
    ('n_expected', 'validity', ''),
    ('coverage', 'validity', ''),
    ('theil_between', 'region', ''),
    ('theil_within', 'region', '')
]) }}
