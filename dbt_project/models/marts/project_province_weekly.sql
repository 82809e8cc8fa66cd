{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('project_province_weekly') }}",
    indexes=[{'columns': ['week_start'], 'type': 'btree'}]
) }}
-- depends_on: {{ ref('stg_progress') }}
-- depends_on: {{ ref('project') }}
-- depends_on: {{ ref('province') }}

with

leads as (
    select
        project_code,
        agency_code
    from {{ ref('project_agency') }}
    where is_lead
),

weeks as (
    select *
    from {{ ref('dim_week') }}
    where week_start <= {{ as_of_week() }}
),

{% if is_incremental() -%}
affected as (
    select * from {{ affected('project_province_weekly') }}
),

affected_pairs as (
    select
        project_code,
        province_code,
        min(week_start) as from_week
    from affected
    group by project_code, province_code
),

{% endif -%}

slices as (
    select
        r.project_code,
        r.province_code,
        r.period_start as week_start,
        r.source,
        r.agency_code,
        r.planned_pct,
        r.actual_pct,
        r.received_at,
        r.load_id,
        r.record_no
    from {{ ref('int_progress_latest') }} as r
    {% if is_incremental() -%}
        inner join affected_pairs as p
            on
                r.project_code = p.project_code
                and r.province_code = p.province_code
                -- what was reported before counts by its last week only
                and r.period_start >= p.from_week
    {% endif -%}
    where
        r.province_code <> ''
        and r.activity = ''
        and r.period_start <= {{ as_of_week() }}
        and not r.is_retracted
),

-- when each source began to report a pair
reporters as (
    {% if is_incremental() -%}
        select
            p.project_code,
            p.province_code,
            r.source,
            min(r.period_start) as from_week
        from affected_pairs as p
        inner join {{ ref('int_progress_latest') }} as r
            on p.project_code = r.project_code and p.province_code = r.province_code
        where
            r.activity = ''
            and r.period_start <= {{ as_of_week() }}
            and not r.is_retracted
        group by p.project_code, p.province_code, r.source
    {%- else -%}
        select
            project_code,
            province_code,
            source,
            min(week_start) as from_week
        from slices
        group by project_code, province_code, source
    {%- endif %}
),

pairs as (
    select
        project_code,
        province_code,
        min(from_week) as from_week
    from reporters
    group by project_code, province_code
),

grid as (
    select
        p.project_code,
        p.province_code,
        w.week_start,
        w.week_label
    from pairs as p
    inner join weeks as w on p.from_week <= w.week_start
    {% if is_incremental() -%}
        inner join affected as a
            on
                p.project_code = a.project_code
                and p.province_code = a.province_code
                and w.week_start = a.week_start
    {%- endif %}
),

expected as (
    select
        g.project_code,
        g.province_code,
        g.week_start,
        (count(*))::integer as reporters_expected
    from grid as g
    inner join reporters as r
        on
            g.project_code = r.project_code
            and g.province_code = r.province_code
            and g.week_start >= r.from_week
    group by g.project_code, g.province_code, g.week_start
),

-- the lead's record governs, then the latest received, then the source's name
governing as (
    select distinct on (s.project_code, s.province_code, s.week_start)
        s.project_code,
        s.province_code,
        s.week_start,
        s.planned_pct,
        s.actual_pct
    from slices as s
    left join leads as l on s.project_code = l.project_code and s.agency_code = l.agency_code
    order by
        s.project_code asc, s.province_code asc, s.week_start asc,
        (l.agency_code is not null) desc, s.received_at desc, s.source asc,
        s.load_id desc, s.record_no desc
),

told as (
    select
        s.project_code,
        s.province_code,
        s.week_start,
        (count(distinct s.source))::integer as reporters_received,
        (count(*) filter (where s.actual_pct <> g.actual_pct))::integer as conflict_count
    from slices as s
    inner join governing as g
        on
            s.project_code = g.project_code
            and s.province_code = g.province_code
            and s.week_start = g.week_start
    group by s.project_code, s.province_code, s.week_start
),

last_told as (
    select
        g.project_code,
        g.province_code,
        g.week_start,
        {% if is_incremental() -%}
            t.week_start as last_week_start
        {%- else -%}
            max(t.week_start) over (
                partition by g.project_code, g.province_code
                order by g.week_start
            ) as last_week_start
        {%- endif %}
    from grid as g
    {% if is_incremental() -%}
        cross join lateral (
            select n.period_start as week_start
            from {{ ref('int_progress_latest') }} as n
            where
                n.project_code = g.project_code
                and n.province_code = g.province_code
                and n.period_start <= g.week_start
                and n.activity = ''
                and not n.is_retracted
            order by n.period_start desc
            limit 1
        ) as t
    {%- else -%}
        left join told as t
            on
                g.project_code = t.project_code
                and g.province_code = t.province_code
                and g.week_start = t.week_start
    {%- endif %}
),

computed as (
    select
        g.project_code,
        g.province_code,
        g.week_start,
        g.week_label,
        v.planned_pct,
        v.actual_pct,
        v.actual_pct - v.planned_pct as variance_pct,
        {{ ratio('v.actual_pct', 'v.planned_pct') }} as spi,
        {{ status_band('v.actual_pct', 'v.actual_pct - v.planned_pct') }} as status_band,
        e.reporters_expected,
        coalesce(t.reporters_received, 0) as reporters_received,
        {{ ratio('coalesce(t.reporters_received, 0)', 'e.reporters_expected') }} as coverage,
        coalesce(t.conflict_count, 0) as conflict_count,
        (g.week_start - l.last_week_start) / 7 as weeks_since_report
    from grid as g
    inner join expected as e
        on
            g.project_code = e.project_code
            and g.province_code = e.province_code
            and g.week_start = e.week_start
    inner join last_told as l
        on
            g.project_code = l.project_code
            and g.province_code = l.province_code
            and g.week_start = l.week_start
    left join governing as v
        on
            g.project_code = v.project_code
            and g.province_code = v.province_code
            and g.week_start = v.week_start
    left join told as t
        on
            g.project_code = t.project_code
            and g.province_code = t.province_code
            and g.week_start = t.week_start
)

-- rounded here and nowhere else, halves away from zero
select
    project_code,
    province_code,
    week_start,
    week_label,
    planned_pct::numeric(9, 4) as planned_pct,
    actual_pct::numeric(9, 4) as actual_pct,
    variance_pct::numeric(9, 4) as variance_pct,
    spi::numeric(12, 6) as spi,
    status_band,
    reporters_expected,
    reporters_received,
    coverage::numeric(9, 6) as coverage,
    conflict_count,
    weeks_since_report
from computed
