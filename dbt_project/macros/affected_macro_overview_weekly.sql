{# Weeks in which a mart below was written again, the weeks after them, and weeks newly shown. #}
{% macro affected_macro_overview_weekly() -%}
with

touched as (
    {% for mart in [
        'project_progress_weekly', 'project_province_weekly', 'agency_reporting_weekly'
    ] -%}
        {{ touched_since_last_build(mart) }}
        {{ 'union' if not loop.last }}
    {% endfor %}
),

shown as (
    select week_start from {{ ref('project_progress_weekly') }}
    union
    select period_start as week_start
    from {{ ref('agency_reporting_weekly') }}
    where period_kind = 'week' and expected = 1
),

standing as (
    select distinct week_start from {{ this }}
)

select coalesce(s.week_start, k.week_start) as week_start
from shown as s
full outer join standing as k on s.week_start = k.week_start
where
    s.week_start is null
    or k.week_start is null
    or exists (
        select
        from touched as t
        where
            t.partition_start is null
            or t.partition_start in (s.week_start, s.week_start - 7)
    )
{%- endmacro %}
