{#
    Project weeks to compute again. A corrected week reaches every later week of its project (trend,
    stagnation, regressions), a re-based plan every week of it.
#}
{% macro affected_project_progress_weekly() -%}
with

standing as (
    select * from {{ this }}
),

projects as (
    select * from {{ ref('project') }}
),

first_week as (
    {{ first_report_week() }}
),

grid as (
    select
        p.project_code,
        w.week_start
    from projects as p
    cross join {{ ref('dim_week') }} as w
    inner join first_week as f on w.week_start >= f.week_start
    where w.week_start <= {{ as_of_week() }}
),

came_in as (
    select
        project_code,
        min(period_start) as from_week
    from {{ ref('stg_progress') }}
    where {{ is_new_load('progress') }} and province_code = ''
    group by project_code
    union
    select distinct
        project_code,
        date '1900-01-01' as from_week
    from {{ ref('stg_target') }}
    where {{ is_new_load('target') }} and project_code <> ''
),

duties as (
    select
        b.project_code,
        b.agency_code,
        bool_or(s.retired_on is null) as is_standing,
        max(s.retired_on) as retired_on
    from {{ ref('project_agency') }} as b
    inner join {{ ref('stg_source') }} as s
        on b.agency_code = s.agency_code and s.kind = 'progress'
    group by b.project_code, b.agency_code
),

expected as (
    select
        g.project_code,
        g.week_start,
        count(d.agency_code) as reporters_expected
    from grid as g
    left join duties as d
        on g.project_code = d.project_code and (d.is_standing or g.week_start <= d.retired_on)
    group by g.project_code, g.week_start
)

select
    g.project_code,
    g.week_start
from grid as g
inner join came_in as c on g.project_code = c.project_code and g.week_start >= c.from_week
union
-- not (or no longer) shown, or owed by others than before
select
    coalesce(x.project_code, t.project_code) as project_code,
    coalesce(x.week_start, t.week_start) as week_start
from expected as x
full outer join standing as t
    on x.project_code = t.project_code and x.week_start = t.week_start
where x.reporters_expected is distinct from t.reporters_expected
{%- endmacro %}
