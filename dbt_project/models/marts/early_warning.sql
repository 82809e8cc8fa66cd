{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('early_warning') }}",
    indexes=[{'columns': ['week_start'], 'type': 'btree'}]
) }}

with

{{ pace_ctes() }},

weeks as (
    select
        project_code,
        week_start,
        actual_pct
    from {{ ref('project_progress_weekly') }}
    {% if is_incremental() -%}
        where (project_code, week_start) in (
            select
                a.project_code,
                a.week_start
            from {{ affected('early_warning') }} as a
        )
    {%- endif %}
),

-- the first revision holds from the beginning
in_force as (
    select distinct on (w.project_code, w.week_start)
        w.project_code,
        w.week_start,
        f.finish_on as planned_finish_on
    from weeks as w
    inner join {{ ref('int_project_finish') }} as f on w.project_code = f.project_code
    where f.revision = 0 or f.effective_from <= w.week_start + 6
    order by w.project_code asc, w.week_start asc, f.revision desc
),

chances as (
    select
        s.project_code,
        s.week_start,
        {{ ratio(
            "count(*) filter (where coalesce(7 * "
            ~ weeks_to_finish('s.actual_pct', 's.rise_pct', 's.weeks')
            ~ " > i.planned_finish_on - s.week_start - 6, true))",
            'count(*)'
        ) }} as late_share
    from slopes as s
    inner join in_force as i on s.project_code = i.project_code and s.week_start = i.week_start
    where i.planned_finish_on is not null
    group by s.project_code, s.week_start
),

track as (
    select is_shown
    from {{ ref('early_warning_track') }}
    where horizon_weeks = 8
),

forecasts as (
    select
        w.project_code,
        w.week_start,
        i.planned_finish_on,
        {{ finish_on('w.week_start', 'p.actual_pct', 'p.median_pace') }} as finish_on,
        {{ finish_on('w.week_start', 'p.actual_pct', 'p.high_pace') }} as early_on,
        {{ finish_on('w.week_start', 'p.actual_pct', 'p.low_pace') }} as late_on,
        c.late_share,
        w.actual_pct,
        p.actual_pct is not null as has_pace
    from weeks as w
    left join in_force as i on w.project_code = i.project_code and w.week_start = i.week_start
    left join paces as p on w.project_code = p.project_code and w.week_start = p.week_start
    left join chances as c on w.project_code = c.project_code and w.week_start = c.week_start
),

judged as (
    select
        f.*,
        case
            when f.actual_pct is null then 'no_value'
            when f.actual_pct >= 100 then 'completed'
            when not f.has_pace then 'insufficient'
            when f.finish_on is null then 'no_pace'
            when not coalesce((select t.is_shown from track as t), false)
                then 'not_better_than_base_rate'
        end as null_reason
    from forecasts as f
)

select
    project_code,
    week_start,
    case when null_reason is null then finish_on end as forecast_finish_on,
    case when null_reason is null then early_on end as forecast_early_on,
    case when null_reason is null then late_on end as forecast_late_on,
    planned_finish_on,
    (case when null_reason is null then late_share end)::numeric(9, 6) as probability_late,
    null_reason
from judged
