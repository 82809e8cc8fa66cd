-- Every national report is part of the record, also one that tells no figure where it governs.
{{ record_line('h.horizon_weeks', 'progress', [
    ('forecasts', 'reported week', 'actual_pct'),
    ('resolved', 'reported week', 'actual_pct'),
    ('resolved', 'plan', 'planned_pct'),
    ('coverage_80', 'reported week', 'actual_pct'),
    ('brier', 'reported week', 'actual_pct'),
    ('brier', 'plan', 'planned_pct'),
    ('brier_base_rate', 'reported week', 'actual_pct'),
    ('brier_base_rate', 'plan', 'planned_pct'),
    ('is_shown', 'reported week', 'actual_pct'),
    ('is_shown', 'plan', 'planned_pct')
], ref('stg_progress_as_of') ~ ' as r
    cross join (values (4), (8), (12)) as h (horizon_weeks)') }}
where r.province_code = '' and r.activity = ''

union all

-- the plan of weeks on which nobody tells one
{{ record_line('h.horizon_weeks', 'target', [
    ('resolved', 'baseline', 'target'),
    ('coverage_80', 'baseline', 'target'),
    ('brier', 'baseline', 'target'),
    ('brier_base_rate', 'baseline', 'target'),
    ('is_shown', 'baseline', 'target')
], ref('stg_target_as_of') ~ ' as r
    cross join (values (4), (8), (12)) as h (horizon_weeks)') }}
where r.project_code <> '' and r.province_code = '' and r.target is not null
