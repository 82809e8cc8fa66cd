-- every national report is part of the record; which of them governs is told by the projects' own
-- lineage
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
where
    r.province_code = ''
    and r.activity = ''
    and case c.field when 'actual_pct' then r.actual_pct else r.planned_pct end is not null
