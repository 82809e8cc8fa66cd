{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    unique_key=['project_code', 'revision', 'week_no'],
    on_schema_change='fail',
    pre_hook="{{ affect('int_project_baseline') }}",
    indexes=[{'columns': ['project_code', 'revision', 'week_no'], 'unique': true}]
) }}

with

targets as (
    select
        t.project_code,
        t.revision,
        t.period_start as point_on,
        t.target as planned_pct,
        t.effective_from,
        t.received_at,
        t.source,
        t.load_id,
        t.record_no
    from {{ ref('int_target_latest') }} as t
    inner join {{ ref('project') }} as p on t.project_code = p.project_code
    where
        p.is_named
        and not t.is_retracted
        and t.province_code = ''
        and t.target is not null
        {% if is_incremental() -%}
            and t.project_code in (
                select a.project_code from {{ affected('int_project_baseline') }} as a
            )
        {%- endif %}
),

points as (
    select distinct on (project_code, revision, point_on) *
    from targets
    order by
        project_code asc, revision asc, point_on asc,
        received_at desc, source asc, load_id desc, record_no desc
),

segments as (
    select
        project_code,
        revision,
        point_on,
        planned_pct,
        lead(point_on) over (
            partition by project_code, revision order by point_on
        ) as next_on,
        lead(planned_pct) over (
            partition by project_code, revision order by point_on
        ) as next_pct
    from points
),

baselines as (
    select
        project_code,
        revision,
        min(revision) over (partition by project_code) = revision as is_original,
        min(effective_from) as effective_from,
        min(point_on) as first_on,
        max(point_on) as last_on,
        -- Saturday of the week before the one that holds the first point: week 0 of the plan
        min(point_on) - (min(point_on) - date '2000-01-01') % 7 - 7 as week_zero_start
    from points
    group by project_code, revision
),

-- from week 0 to the first Friday on or after the last point
fridays as (
    select
        b.*,
        weeks.n as week_no,
        b.week_zero_start + 7 * weeks.n + 6 as friday_on,
        (b.last_on - b.week_zero_start) / 7 as last_week_no
    from baselines as b
    cross join lateral generate_series(0, (b.last_on - b.week_zero_start) / 7) as weeks (n)
)

-- the rule: linear by day between the plan's points, 0 before the first, the last target after
select
    f.project_code,
    f.revision,
    f.is_original,
    f.effective_from,
    f.week_zero_start,
    f.last_week_no,
    f.week_no,
    (case
        when s.point_on is null then 0
        when s.next_on is null then s.planned_pct
        else
            s.planned_pct
            + {{ ratio(
                '(s.next_pct - s.planned_pct) * (f.friday_on - s.point_on)',
                's.next_on - s.point_on'
            ) }}
    end)::numeric(60, 30) as planned_pct
from fridays as f
left join segments as s
    on
        f.project_code = s.project_code
        and f.revision = s.revision
        and f.friday_on >= s.point_on
        and (s.next_on is null or f.friday_on < s.next_on)
