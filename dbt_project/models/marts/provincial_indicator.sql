{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('provincial_indicator') }}",
    indexes=[
        {'columns': ['period_start'], 'type': 'btree'},
        {'columns': ['source'], 'type': 'btree'}
    ]
) }}
-- depends_on: {{ ref('stg_indicator_value') }}
-- depends_on: {{ ref('stg_target') }}

with

indicators as (
    select * from {{ ref('indicator') }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

years as (
    select * from {{ ref('official_leap_year') }}
),

told as (
    select
        r.indicator_code,
        r.province_code,
        r.period_kind,
        r.period_start,
        r.source,
        coalesce(r.value, {{ ratio('r.numerator', 'r.denominator') }}) as value,
        r.received_at,
        r.agency_code,
        r.load_id,
        r.record_no
    from {{ ref('int_indicator_value_latest') }} as r
    {% if is_incremental() -%}
        inner join {{ affected('provincial_indicator') }} as a
            on
                r.indicator_code = a.indicator_code
                and r.period_start = a.period_start
                and r.period_kind = a.period_kind
    {% endif -%}
    where
        r.province_code <> ''
        and (r.period_kind <> 'week' or r.period_start <= {{ as_of_week() }})
        and not r.is_retracted
),

-- several sources for one cell: the latest received, then the source's name
cells as (
    select distinct on (indicator_code, province_code, period_kind, period_start) *
    from told
    order by
        indicator_code asc, province_code asc, period_kind asc, period_start asc,
        received_at desc, source asc, agency_code asc, load_id desc, record_no desc
),

aims as (
    select
        t.indicator_code,
        t.province_code,
        t.period_kind,
        t.period_start,
        t.baseline,
        t.target,
        t.revision,
        t.received_at,
        t.source,
        t.load_id,
        t.record_no
    from {{ ref('int_target_latest') }} as t
    {% if is_incremental() -%}
        inner join {{ affected('provincial_indicator') }} as a
            on
                t.indicator_code = a.indicator_code
                and t.period_start = a.period_start
                and t.period_kind = a.period_kind
    {% endif -%}
    where t.indicator_code <> '' and not t.is_retracted
),

-- the province's own target before the nation's, the newest revision of it
cell_aims as (
    select distinct on (c.indicator_code, c.province_code, c.period_kind, c.period_start)
        c.indicator_code,
        c.province_code,
        c.period_kind,
        c.period_start,
        a.baseline,
        a.target
    from cells as c
    inner join aims as a
        on
            c.indicator_code = a.indicator_code
            and c.period_kind = a.period_kind
            and c.period_start = a.period_start
            and a.province_code in (c.province_code, '')
    order by
        c.indicator_code asc, c.province_code asc, c.period_kind asc, c.period_start asc,
        a.province_code desc, a.revision desc, a.received_at desc, a.source asc,
        a.load_id desc, a.record_no desc
),

ranked as (
    select
        c.*,
        i.unit,
        i.direction,
        i.min_n_rank,
        (count(c.value) over cell)::integer as rank_n,
        (rank() over (
            partition by c.indicator_code, c.period_kind, c.period_start
            order by
                case when i.direction = 'higher' then -c.value else c.value end nulls last
        ))::integer as rank_all
    from cells as c
    inner join indicators as i on c.indicator_code = i.indicator_code
    window cell as (partition by c.indicator_code, c.period_kind, c.period_start)
),

realised as (
    select
        r.*,
        a.baseline,
        a.target,
        {{ ratio('r.value - a.baseline', 'a.target - a.baseline') }} as realisation,
        case
            when r.value is null then 'no_value'
            when a.target is null then 'no_target'
            when a.baseline is null then 'no_baseline'
            when a.target = a.baseline then 'target_equals_baseline'
        end as realisation_reason
    from ranked as r
    left join cell_aims as a
        on
            r.indicator_code = a.indicator_code
            and r.province_code = a.province_code
            and r.period_kind = a.period_kind
            and r.period_start = a.period_start
),

computed as (
    select
        r.indicator_code,
        r.province_code,
        r.period_kind,
        r.period_start,
        {{ period_label('r.period_kind', 'r.period_start', 'y') }} as period_label,
        r.value,
        r.unit,
        s.is_simulated,
        r.baseline,
        r.target,
        r.realisation,
        case
            when r.realisation is not null then least(greatest(r.realisation, 0), 1)
        end as realisation_clipped,
        r.realisation_reason,
        case when r.value is not null and r.rank_n >= r.min_n_rank then r.rank_all end as rank,
        r.rank_n,
        r.source
    from realised as r
    left join sources as s on r.source = s.source
    left join years as y on {{ in_jalali_year('r.period_start', 'y') }}
)

-- rounded here and nowhere else, halves away from zero
select
    indicator_code,
    province_code,
    period_kind,
    period_start,
    period_label,
    value::numeric(28, 10) as value,
    unit,
    is_simulated,
    baseline::numeric(28, 10) as baseline,
    target::numeric(28, 10) as target,
    realisation::numeric(38, 6) as realisation,
    realisation_clipped::numeric(9, 6) as realisation_clipped,
    realisation_reason,
    rank,
    rank_n,
    source
from computed
