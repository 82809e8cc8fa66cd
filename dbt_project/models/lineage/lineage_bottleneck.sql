with

tickets as not materialized (
    select
        coalesce(t.theme_code, '') as theme_code,
        t.agency_code,
        t.load_id,
        t.record_no,
        t.severity,
        t.due_at,
        {{ tehran_day('t.opened_at') }} as opened_on,
        {{ tehran_day('t.closed_at') }} as closed_on
    from {{ ref('stg_ticket_as_of') }} as t
)

{{ record_line('r.theme_code, r.agency_code, w.week_start', 'ticket', [
    ('opened', 'opened', 'opened_at'),
    ('resolved', 'closed', 'closed_at'),
    ('open', 'open', 'opened_at'),
    ('overdue', 'open', 'due_at'),
    ('median_age_days', 'open', 'opened_at'),
    ('oldest_age_days', 'open', 'opened_at'),
    ('escalated', 'open', 'severity'),
    ('escalated', 'open', 'due_at')
], ref('dim_week') ~ ' as w
    inner join tickets as r on w.week_start + 6 >= r.opened_on') }}
where
    case c.role
        when 'opened' then r.opened_on >= w.week_start
        when 'closed' then r.closed_on between w.week_start and w.week_start + 6
        else r.closed_on is null or r.closed_on > w.week_start + 6
    end
    and (c.mart_column <> 'overdue' or r.due_at < {{ week_end_at('w.week_start') }})
