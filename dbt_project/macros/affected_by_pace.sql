{#
    Project weeks whose last six reports hold a week that was written again: that week, and the
    five reports after it. `also` are days to look back from such a week, for what is held against
    it later.
#}
{% macro affected_by_pace(also=[]) -%}
with

touched as (
    {{ touched_since_last_build('project_progress_weekly') }}
),

weeks as (
    select t.partition_start as week_start
    from touched as t
    where t.partition_start is not null
    union
    select v.week_start
    from {{ ref('project_progress_weekly') }} as v
    where exists (select from touched as t where t.partition_start is null)
),

projects as (
    select project_code from {{ ref('project') }}
)

select
    p.project_code,
    w.week_start
from projects as p
cross join weeks as w
{% for days in also -%}
    union
    select
        p.project_code,
        w.week_start - {{ days }} as week_start
    from projects as p
    cross join weeks as w
{% endfor -%}
union
select
    p.project_code,
    n.week_start
from projects as p
cross join weeks as w
cross join lateral (
    select v.week_start
    from {{ ref('project_progress_weekly') }} as v
    where
        v.project_code = p.project_code
        and v.week_start > w.week_start
        and v.actual_pct is not null
    order by v.week_start
    limit 5
) as n
{%- endmacro %}

{% macro affected_int_forecast_outcome() -%}
{{ affected_by_pace(also=[28, 56, 84]) }}
{%- endmacro %}

{#
    Beside these: whole projects whose plan this build's loads speak of, and everything when the
    track record begins, or no longer allows, to show forecasts.
#}
{% macro affected_early_warning() -%}
{{ affected_by_pace() }}
union
select
    v.project_code,
    v.week_start
from {{ ref('project_progress_weekly') }} as v
where v.project_code in (
    select t.project_code from {{ ref('stg_target') }} as t where {{ is_new_load('target') }}
)
union
select
    v.project_code,
    v.week_start
from {{ ref('project_progress_weekly') }} as v
where exists (
    select
    from {{ ref('early_warning_track') }} as k
    cross join {{ this }} as s
    where
        k.horizon_weeks = 8
        and case
            when k.is_shown then s.null_reason = 'not_better_than_base_rate'
            else s.null_reason is null
        end
)
{%- endmacro %}
