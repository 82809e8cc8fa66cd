{{ record_line('r.ticket_code', 'ticket', [
    ('agency_code', 'value', 'agency_code'),
    ('project_code', 'value', 'project_code'),
    ('obligation_code', 'value', 'obligation_code'),
    ('theme_code', 'value', 'theme_code'),
    ('severity', 'value', 'severity'),
    ('opened_on', 'value', 'opened_at'),
    ('due_on', 'value', 'due_at'),
    ('closed_on', 'value', 'closed_at'),
    ('age_days', 'value', 'opened_at'),
    ('age_days', 'value', 'closed_at'),
    ('state', 'value', 'due_at'),
    ('state', 'value', 'closed_at')
], ref('stg_ticket_as_of') ~ ' as r') }}
