{# Weeks in which a mart below was written again, and the weeks after them. #}
{% macro affected_macro_overview_weekly() -%}
with

touched as (
    {% for mart in [
        'project_progress_weekly', 'project_province_weekly', 'agency_reporting_weekly'
    ] -%}
        {{ touched_since_last_build(mart) }}
        {{ 'union' if not loop.last }}
    {% endfor %}
)

select t.partition_start + 7 * ahead.weeks as week_start
from touched as t
cross join generate_series(0, 1) as ahead (weeks)
where t.partition_start is not null
{% for relation, week in [
    (ref('project_progress_weekly'), 'week_start'),
    (ref('agency_reporting_weekly'), 'period_start'),
    (this, 'week_start')
] -%}
    union
    select k.{{ week }} as week_start
    from {{ relation }} as k
    where exists (select from touched as t where t.partition_start is null)
{% endfor %}
{%- endmacro %}
