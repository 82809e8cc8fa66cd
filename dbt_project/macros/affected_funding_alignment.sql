{#
    Periods that this build's loads speak of, periods newly shown, and periods that are held against
    a week of progress that was written again or that moves on with the as-of week.
#}
{% macro affected_funding_alignment() -%}
with

touched as (
    {{ touched_since_last_build('project_progress_weekly') }}
    union
    {{ touched_since_last_build('project_province_weekly') }}
),

standing as (
    select
        p.period_kind,
        p.period_start,
        {{ week_of(period_last_day('p.period_kind', 'p.period_start', 'y')) }} as last_week
    from (
        select distinct
            period_kind,
            period_start
        from {{ this }}
    ) as p
    left join {{ ref('official_leap_year') }} as y on {{ in_jalali_year('p.period_start', 'y') }}
)

select
    period_kind,
    period_start
from {{ ref('stg_funding') }}
where {{ is_new_load('funding') }}
union
select
    period_kind,
    period_start
from {{ ref('int_funding_latest') }}
where period_start > {{ week_last_shown() }} + 6 and period_start <= {{ as_of_week() }} + 6
union
select
    s.period_kind,
    s.period_start
from standing as s
where
    (s.last_week > {{ week_last_shown() }} and {{ as_of_week() }} > {{ week_last_shown() }})
    or least(s.last_week, {{ as_of_week() }}) in (select t.partition_start from touched as t)
    or exists (select from touched as t where t.partition_start is null)
{%- endmacro %}
