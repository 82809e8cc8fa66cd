{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('funding_alignment') }}",
    indexes=[{'columns': ['period_start', 'period_kind'], 'type': 'btree'}]
) }}

with

facts as (
    select distinct on (agency_code, province_code, project_code, period_kind, period_start) *
    from {{ ref('int_funding_latest') }}
    where
        not is_retracted
        and period_start <= {{ as_of_week() }} + 6
        {% if is_incremental() -%}
            and (period_start, period_kind) in (
                select
                    a.period_start,
                    a.period_kind
                from {{ affected('funding_alignment') }} as a
            )
        {%- endif %}
    order by
        agency_code asc, province_code asc, project_code asc, period_kind asc, period_start asc,
        received_at desc, source asc, load_id desc, record_no desc
),

paid as (
    select
        f.level,
        f.code,
        f.period_kind,
        f.period_start,
        sum(allocated_rial) as allocated_rial,
        sum(released_rial) as released_rial,
        sum(spent_rial) as spent_rial
    from (
        select
            d.*,
            case when d.province_code <> '' then 'province' else 'agency' end as level,
            case when d.province_code <> '' then d.province_code else d.agency_code end as code
        from facts as d
    ) as f
    group by f.level, f.code, f.period_kind, f.period_start
),

-- the last week of the period, not later than the last one shown
weeks as (
    select
        k.period_kind,
        k.period_start,
        least({{ week_of('k.last_on') }}, {{ as_of_week() }}) as week_start
    from (
        select
            p.period_kind,
            p.period_start,
            {{ period_last_day('p.period_kind', 'p.period_start', 'y') }} as last_on
        from (
            select distinct
                d.period_kind,
                d.period_start
            from paid as d
        ) as p
        left join {{ ref('official_leap_year') }} as y
            on {{ in_jalali_year('p.period_start', 'y') }}
    ) as k
),

led as (
    select
        b.agency_code,
        p.project_code,
        p.weight
    from {{ ref('project_agency') }} as b
    inner join {{ ref('project') }} as p on b.project_code = p.project_code
    where b.is_lead
),

realised as (
    select
        p.level,
        p.code,
        p.period_kind,
        p.period_start,
        {{ ratio('sum(l.weight * v.actual_pct)', '100 * sum(l.weight) filter (
            where v.actual_pct is not null
        )') }} as share,
        {{ ratio(
            'coalesce(sum(l.weight) filter (where v.actual_pct is not null), 0)', 'sum(l.weight)'
        ) }} as coverage
    from paid as p
    inner join weeks as w on p.period_kind = w.period_kind and p.period_start = w.period_start
    inner join led as l on p.code = l.agency_code
    inner join {{ ref('project_progress_weekly') }} as v
        on l.project_code = v.project_code and w.week_start = v.week_start
    where p.level = 'agency' and w.week_start >= p.period_start
    group by p.level, p.code, p.period_kind, p.period_start
    union all
    select
        p.level,
        p.code,
        p.period_kind,
        p.period_start,
        {{ ratio('sum(v.actual_pct)', '100 * count(v.actual_pct)') }} as share,
        {{ ratio('count(v.actual_pct)', 'count(*)') }} as coverage
    from paid as p
    inner join weeks as w on p.period_kind = w.period_kind and p.period_start = w.period_start
    inner join {{ ref('project_province_weekly') }} as v
        on p.code = v.province_code and w.week_start = v.week_start
    where p.level = 'province' and w.week_start >= p.period_start
    group by p.level, p.code, p.period_kind, p.period_start
),

judged as (
    select
        p.*,
        {{ ratio('p.released_rial', 'p.allocated_rial') }} as released_share,
        {{ ratio('p.spent_rial', 'p.allocated_rial') }} as paid_share,
        r.share as realisation_share,
        r.coverage as realisation_coverage,
        case
            when coalesce(p.allocated_rial, 0) = 0 then 'no_allocation'
            when p.spent_rial is null then 'no_spending'
            when r.share is null then 'no_realisation'
        end as null_reason
    from paid as p
    left join realised as r
        on
            p.level = r.level
            and p.code = r.code
            and p.period_kind = r.period_kind
            and p.period_start = r.period_start
)

select
    level,
    code,
    period_kind,
    period_start,
    allocated_rial::numeric(38, 2) as allocated_rial,
    released_rial::numeric(38, 2) as released_rial,
    spent_rial::numeric(38, 2) as spent_rial,
    released_share::numeric(38, 6) as released_share,
    paid_share::numeric(38, 6) as paid_share,
    realisation_share::numeric(12, 6) as realisation_share,
    realisation_coverage::numeric(9, 6) as realisation_coverage,
    (case when null_reason is null then paid_share - realisation_share end)::numeric(38, 6) as gap,
    null_reason
from judged
