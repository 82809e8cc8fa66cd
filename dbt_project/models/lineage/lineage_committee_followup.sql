with

months as not materialized (
    select
        {{ jalali_month_start('m.month', 'y') }} as month_start,
        {{ jalali_month_start('m.month', 'y') }} + {{ jalali_month_length('m.month', 'y') }} - 1
            as month_end,
        y.jalali_year
    from {{ ref('official_leap_year') }} as y
    cross join generate_series(1, 12) as m (month)
),

meetings as not materialized (
    select
        g.*,
        m.month_start
    from {{ ref('stg_meeting_as_of') }} as g
    inner join months as m
        on coalesce(g.due_period_start, g.held_on) between m.month_start and m.month_end
)

{{ record_line('r.committee_code, r.month_start', 'meeting', [
    ('meetings_held', 'meeting', 'held_on'),
    ('meetings_minuted', 'meeting', 'minuted_on'),
    ('decisions', 'meeting', 'decisions'),
    ('decisions_implemented', 'meeting', 'decisions'),
    ('is_missed', 'meeting', 'held_on')
], 'meetings as r') }}

union all

{{ record_line('g.committee_code, g.month_start', 'obligation_event', [
    ('decisions_implemented', 'event', 'status')
], "meetings as g
    inner join " ~ ref('stg_obligation_event_as_of') ~ " as r
        on starts_with(
            r.obligation_code, g.committee_code || '-' || to_char(g.held_on, 'YYYY-MM-DD') || '-'
        )") }}
where r.status is not null

union all

{{ reference_line('k.committee_code, m.month_start', [
    ('meetings_due', 'duty', 'reference:committee'),
    ('is_missed', 'duty', 'reference:committee'),
    ('month_label', 'calendar', 'reference:official_leap_year')
], "case c.role
            when 'calendar' then 'first day of ' || m.jalali_year
            else k.meeting_cadence || coalesce(' from ' || k.first_due_month, '')
        end", ref('committee') ~ ' as k
    cross join months as m') }}
