{#- metric, the column of the mart below that it is made of, its role -#}
{%- set project_parts = [
    ('portfolio_actual_pct', 'actual_pct'),
    ('portfolio_planned_pct', 'planned_pct'),
    ('portfolio_planned_pct', 'actual_pct'),
    ('portfolio_spi', 'spi'),
    ('projects_behind_plan', 'status_band'),
    ('projects_stagnant', 'is_stagnant')
] -%}
with

-- what stands behind a metric's figure of one week
parts as not materialized (
    {% for metric, column in project_parts -%}
        select
            '{{ metric }}' as metric_code,
            l.week_start,
            l.role,
            l.kind,
            l.load_id,
            l.record_no,
            l.field,
            p.weight * coalesce(l.weight, 1) as weight
        from {{ ref('lineage_project_progress_weekly') }} as l
        inner join {{ ref('project') }} as p on l.project_code = p.project_code
        where p.is_named and l.mart_column = '{{ column }}' and l.load_id is not null
        union all
    {% endfor -%}
    {% for metric, column in [
        ('reporting_rate_pct', 'reporting_rate'), ('on_time_rate_pct', 'on_time_rate')
    ] -%}
        select
            '{{ metric }}' as metric_code,
            l.period_start as week_start,
            l.role,
            l.kind,
            l.load_id,
            l.record_no,
            l.field,
            null::numeric as weight
        from {{ ref('lineage_agency_reporting_weekly') }} as l
        inner join {{ ref('stg_source') }} as s on l.source = s.source
        where
            l.period_kind = 'week'
            and l.mart_column = '{{ column }}'
            and s.cadence = 'weekly'
            and s.owed_from <= l.period_start
            and (s.owed_to is null or s.owed_to >= l.period_start)
        union all
    {% endfor -%}
    select
        'provinces_reporting' as metric_code,
        l.week_start,
        l.role,
        l.kind,
        l.load_id,
        l.record_no,
        l.field,
        null::numeric as weight
    from {{ ref('lineage_project_province_weekly') }} as l
    where l.mart_column = 'reporters_received'
)

select
    p.metric_code,
    p.week_start,
    c.mart_column,
    p.role,
    p.kind,
    p.load_id,
    p.record_no,
    p.field,
    p.weight
from parts as p
cross join {{ lineage_columns([
    ('value', '', ''),
    ('numerator', '', ''),
    ('denominator', '', ''),
    ('coverage_received', '', ''),
    ('coverage_expected', '', ''),
    ('coverage', '', ''),
    ('change_on_last_week', '', ''),
    ('null_reason', '', '')
]) }}

union all

select
    m.metric_code,
    w.week_start,
    c.mart_column,
    c.role,
    case
        when c.field <> '' then c.field
        when m.metric_code like 'project%' or m.metric_code like 'portfolio%'
            then 'reference:project'
        when m.metric_code like 'province%' then 'reference:province'
        else 'reference:source'
    end as kind,
    null::bigint as load_id,
    null::integer as record_no,
    case c.mart_column
        when 'week_label' then 'first day of ' || w.jalali_year
        when 'change_on_last_week'
            then 'value metric_code=' || m.metric_code || ' week_start=' || w.week_start - 7
        when 'coverage_expected' then 'all of them'
        else m.metric_code
    end as field,
    null::numeric as weight
from {{ ref('metric') }} as m
cross join {{ ref('dim_week') }} as w
cross join {{ lineage_columns([
    ('target', 'target', 'reference:metric'),
    ('unit', 'definition', 'reference:metric'),
    ('coverage_expected', 'whole', ''),
    ('change_on_last_week', 'last week', 'figure:macro_overview_weekly'),
    ('week_label', 'calendar', 'reference:official_leap_year')
]) }}
