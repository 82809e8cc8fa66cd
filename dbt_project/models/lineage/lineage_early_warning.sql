{{ inherited_line(
    'l.project_code, l.week_start', 'c.mart_column',
    ref('lineage_project_progress_weekly') ~ " as l
    cross join (
        values
        ('forecast_finish_on'), ('forecast_early_on'), ('forecast_late_on'), ('probability_late'),
        ('null_reason')
    ) as c (mart_column)"
) }}
where l.mart_column = 'trend_pct_per_week'

union all

{{ inherited_line(
    'l.project_code, l.week_start', 'c.mart_column',
    ref('lineage_project_progress_weekly') ~ " as l
    cross join (values ('planned_finish_on'), ('probability_late')) as c (mart_column)"
) }}
where l.mart_column = 'actual_time_weeks' and l.kind = 'target'

union all

-- no forecast is shown unless past ones did better than the base rate
{{ reference_line('p.project_code, w.week_start', [
    ('forecast_finish_on', 'gate', 'figure:early_warning_track'),
    ('forecast_early_on', 'gate', 'figure:early_warning_track'),
    ('forecast_late_on', 'gate', 'figure:early_warning_track'),
    ('probability_late', 'gate', 'figure:early_warning_track'),
    ('null_reason', 'gate', 'figure:early_warning_track')
], "'is_shown horizon_weeks=8'", ref('project') ~ ' as p
    cross join ' ~ ref('dim_week') ~ ' as w') }}

union all

-- without a pace a reason stands on the week's own figure, or on its absence
{{ reference_line('p.project_code, w.week_start', [
    ('null_reason', 'portfolio', 'reference:project')
], 'p.project_code', ref('project') ~ ' as p
    cross join ' ~ ref('dim_week') ~ ' as w') }}
