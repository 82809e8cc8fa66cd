{#
    Weeks whose figures were written again, in marts below or in how obligations stand; of reports
    also the three weeks after. All weeks when the agencies themselves have changed.
#}
{% macro affected_agency_scorecard_component() -%}
with

touched as (
    {{ touched_since_last_build('project_progress_weekly') }}
    union
    {{ touched_since_last_build('int_obligation_state') }}
    union
    select r.partition_start + 7 * ahead.weeks as partition_start
    from (
        {{ touched_since_last_build('agency_reporting_weekly') }}
    ) as r
    cross join generate_series(0, 3) as ahead (weeks)
),

agencies as (
    select agency_code from {{ ref('project_agency') }}
    union
    select agency_code from {{ ref('dim_source') }}
),

last_week as (
    select max(week_start) as week_start from {{ this }}
),

others as (
    select coalesce(a.agency_code, t.agency_code) as agency_code
    from agencies as a
    full outer join (
        select distinct s.agency_code
        from {{ this }} as s
        inner join last_week as l on s.week_start = l.week_start
    ) as t on a.agency_code = t.agency_code
    where a.agency_code is null or t.agency_code is null
)

select t.partition_start as week_start
from touched as t
where t.partition_start is not null
{% for relation in [ref('project_progress_weekly'), this] -%}
    union
    select w.week_start
    from {{ relation }} as w
    where
        exists (select from others)
        or exists (select from touched as t where t.partition_start is null)
{% endfor %}
{%- endmacro %}

{# The trend of a week looks back four weeks. #}
{% macro affected_agency_scorecard_weekly() -%}
select
    w.week_start + 28 * ahead.months as week_start
from (
    {{ affected_agency_scorecard_component() }}
) as w
cross join generate_series(0, 1) as ahead (months)
{%- endmacro %}
