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
        min(from_week) as from_week,
        array_agg(from_week) as from_weeks
    from reporters
    group by project_code, province_code
),

grid as (
    select
        p.project_code,
        p.province_code,
        p.from_weeks,
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

-- the lead's record governs, then the latest received, then the source's name
ranked as (
    select
        s.*,
        l.agency_code is not null as is_lead,
        row_number() over cell as place,
        first_value(s.actual_pct) over cell as governing_pct
    from slices as s
    left join leads as l on s.project_code = l.project_code and s.agency_code = l.agency_code
    window cell as (
        partition by s.project_code, s.province_code, s.week_start
        order by
            (l.agency_code is not null) desc, s.received_at desc, s.source asc,
            s.load_id desc, s.record_no desc
    )
),

told as (
    select
        project_code,
        province_code,
        week_start,
        max(planned_pct) filter (where place = 1) as planned_pct,
        max(actual_pct) filter (where place = 1) as actual_pct,
        (count(distinct source))::integer as reporters_received,
        (count(*) filter (where actual_pct <> governing_pct))::integer as conflict_count
    from ranked
    group by project_code, province_code, week_start
),

shown as (
    select
        g.project_code,
        g.province_code,
        g.week_start,
        g.week_label,
        t.planned_pct,
        t.actual_pct,
        (
            select count(*)
            from unnest(g.from_weeks) as began (from_week)
            where began.from_week <= g.week_start
        )::integer as reporters_expected,
        coalesce(t.reporters_received, 0) as reporters_received,
        coalesce(t.conflict_count, 0) as conflict_count,
        {% if is_incremental() -%}
            r.week_start as last_week_start
        {%- else -%}
            max(t.week_start) over (
                partition by g.project_code, g.province_code
                order by g.week_start
            ) as last_week_start
        {%- endif %}
    from grid as g
    left join told as t
        on
            g.project_code = t.project_code
            and g.province_code = t.province_code
            and g.week_start = t.week_start
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
        ) as r
    {%- endif %}
),

computed as (
    select
        project_code,
        province_code,
        week_start,
        week_label,
        planned_pct,
        actual_pct,
        actual_pct - planned_pct as variance_pct,
        {{ ratio('actual_pct', 'planned_pct') }} as spi,
        {{ status_band('actual_pct', 'actual_pct - planned_pct') }} as status_band,
        reporters_expected,
        reporters_received,
        {{ ratio('reporters_received', 'reporters_expected') }} as coverage,
        conflict_count,
        (week_start - last_week_start) / 7 as weeks_since_report
    from shown
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
    spi::numeric(38, 6) as spi,
    status_band,
    reporters_expected,
    reporters_received,
    coverage::numeric(9, 6) as coverage,
    conflict_count,
    weeks_since_report
from computed
