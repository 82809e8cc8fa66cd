{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('agency_scorecard_weekly') }}",
    indexes=[{'columns': ['week_start'], 'type': 'btree'}]
) }}

with

{{ scorecard_ctes(back_weeks=4) }},

indices as (
    select
        agency_code,
        week_start,
        index_name,
        max(threshold) as threshold,
        case
            when 2 * max(weight_available) >= max(weight_sum)
                then {{ ratio('sum(weight * value)', 'max(weight_available)') }}
        end as index_value,
        {{ ratio('coalesce(max(weight_available), 0)', 'max(weight_sum)') }} as coverage,
        coalesce(5 * max(weight_available) >= 4 * max(weight_sum), false) as is_covered
    from shared
    group by agency_code, week_start, index_name
),

leaders as (
    select distinct agency_code
    from {{ ref('project_agency') }}
    where is_lead
),

cards as (
    select
        a.agency_code,
        w.week_start,
        round(p.index_value, 6) as performance_index,
        p.coverage as performance_coverage,
        p.threshold as performance_threshold,
        round(q.index_value, 6) as reporting_quality_index,
        q.coverage as reporting_quality_coverage,
        q.threshold as reporting_quality_threshold,
        coalesce(
            not g.is_outside_government
            and g.level = 'national'
            and p.is_covered
            and l.agency_code is not null,
            false
        ) as is_rank_eligible
    from agencies as a
    cross join weeks as w
    left join indices as p
        on
            a.agency_code = p.agency_code
            and w.week_start = p.week_start
            and p.index_name = 'performance'
    left join indices as q
        on
            a.agency_code = q.agency_code
            and w.week_start = q.week_start
            and q.index_name = 'reporting_quality'
    left join {{ ref('agency') }} as g on a.agency_code = g.agency_code
    left join leaders as l on a.agency_code = l.agency_code
),

judged as (
    select
        c.*,
        c.performance_index >= c.performance_threshold as works_well,
        c.reporting_quality_index >= c.reporting_quality_threshold as reports_well,
        c.is_rank_eligible and c.performance_index is not null as is_ranked
    from cards as c
)

select
    j.agency_code,
    j.week_start,
    j.performance_index::numeric(9, 6) as performance_index,
    j.performance_coverage::numeric(9, 6) as performance_coverage,
    j.reporting_quality_index::numeric(9, 6) as reporting_quality_index,
    j.reporting_quality_coverage::numeric(9, 6) as reporting_quality_coverage,
    case
        when j.works_well and j.reports_well then 'works_and_reports_well'
        when j.works_well and not j.reports_well then 'works_well_reports_badly'
        when not j.works_well and j.reports_well then 'reports_well_works_badly'
        when not j.works_well and not j.reports_well then 'neither'
    end as quadrant,
    (j.performance_index - before.performance_index)::numeric(12, 6) as trend,
    j.is_rank_eligible,
    (case
        when j.is_ranked
            then rank() over (
                partition by j.week_start, j.is_ranked order by j.performance_index desc
            )
    end)::integer as rank
from judged as j
left join judged as before
    on j.agency_code = before.agency_code and j.week_start = before.week_start + 28
{% if is_incremental() -%}
    where j.week_start in (
        select a.week_start from {{ affected('agency_scorecard_weekly') }} as a
    )
{%- endif %}
