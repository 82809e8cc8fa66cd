{#
    Slices to compute again: from the first corrected week of a pair on (weeks since the last
    report, who is expected), and every known pair in weeks that are newly shown.
#}
{% macro affected_project_province_weekly() -%}
with

weeks as (
    select week_start from {{ ref('dim_week') }} where week_start <= {{ as_of_week() }}
),

came_in as (
    select
        project_code,
        province_code,
        min(period_start) as from_week
    from {{ ref('stg_progress') }}
    where {{ is_new_load('progress') }} and province_code <> '' and activity = ''
    group by project_code, province_code
),

pairs as (
    select
        p.project_code,
        r.province_code
    from {{ ref('project') }} as p
    cross join {{ ref('province') }} as r
    where exists (
        select
        from {{ ref('int_progress_latest') }} as n
        where
            n.project_code = p.project_code
            and n.province_code = r.province_code
            and n.period_start <= {{ as_of_week() }}
            and n.activity = ''
            and not n.is_retracted
    )
)

select
    c.project_code,
    c.province_code,
    w.week_start
from came_in as c
inner join weeks as w on w.week_start >= c.from_week
union
select
    p.project_code,
    p.province_code,
    w.week_start
from pairs as p
inner join weeks as w on w.week_start > {{ week_last_shown() }}
{%- endmacro %}
