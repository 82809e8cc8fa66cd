{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    unique_key=['project_code', 'revision'],
    on_schema_change='fail',
    pre_hook="{{ affect('int_project_finish') }}",
    indexes=[{'columns': ['project_code', 'revision'], 'unique': true}]
) }}

with

points as (
    select distinct on (t.project_code, t.revision, t.period_start)
        t.project_code,
        t.revision,
        t.period_start as point_on,
        t.target as planned_pct,
        t.effective_from
    from {{ ref('int_target_latest') }} as t
    inner join {{ ref('project') }} as p on t.project_code = p.project_code
    where
        p.is_named
        and not t.is_retracted
        and t.province_code = ''
        and t.target is not null
        {% if is_incremental() -%}
            and t.project_code in (
                select a.project_code from {{ affected('int_project_finish') }} as a
            )
        {%- endif %}
    order by
        t.project_code asc, t.revision asc, t.period_start asc,
        t.received_at desc, t.source asc, t.load_id desc, t.record_no desc
)

select
    project_code,
    revision,
    min(effective_from) as effective_from,
    min(point_on) filter (where planned_pct >= 100) as finish_on
from points
group by project_code, revision
