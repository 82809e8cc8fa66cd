{#- the weeks that the scorecard has, not those of the calendar -#}
{%- set shown -%}
    (select distinct v.week_start from {{ ref('project_progress_weekly') }} as v)
{%- endset -%}
{{ inherited_line(
    'l.agency_code, l.week_start', 'c.mart_column',
    ref('lineage_agency_scorecard_component') ~ " as l
    inner join (
        values
        ('performance_index', 'performance'), ('performance_coverage', 'performance'),
        ('reporting_quality_index', 'reporting_quality'),
        ('reporting_quality_coverage', 'reporting_quality'),
        ('quadrant', 'performance'), ('quadrant', 'reporting_quality'),
        ('trend', 'performance'), ('is_rank_eligible', 'performance'), ('rank', 'performance')
    ) as c (mart_column, of_index) on l.index_name = c.of_index", role='l.component'
) }}
where l.mart_column = 'contribution'

union all

{{ reference_line('a.agency_code, w.week_start', [
    ('is_rank_eligible', 'standing', 'reference:agency')
], 'a.agency_code', ref('agency') ~ ' as a
    cross join ' ~ shown ~ ' as w') }}

union all

{{ reference_line('a.agency_code, w.week_start', [
    ('trend', 'four weeks before', 'figure:agency_scorecard_weekly')
], "'performance_index agency_code=' || a.agency_code || ' week_start=' || w.week_start - 28",
ref('agency') ~ ' as a
    cross join ' ~ shown ~ ' as w') }}

union all

-- a place among those that lead a project
{{ reference_line('a.agency_code, w.week_start', [
    ('rank', 'peer', 'figure:agency_scorecard_weekly')
], "'performance_index agency_code=' || b.agency_code || ' week_start=' || w.week_start",
'(select distinct d.agency_code from ' ~ ref('project_agency') ~ ' as d where d.is_lead) as a
    cross join ' ~ shown ~ ' as w
    cross join (
        select distinct e.agency_code from ' ~ ref('project_agency') ~ ' as e where e.is_lead
    ) as b') }}
