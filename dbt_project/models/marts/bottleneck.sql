{{ config(
    materialized='table',
    pre_hook="{{ touch_all('bottleneck') }}"
) }}

with

tickets as (
    select
        t.*,
        coalesce(t.theme_code, '') as theme
    from {{ ref('int_ticket_known') }} as t
),

first_weeks as (
    select
        theme,
        agency_code,
        min({{ week_of('opened_on') }}) as week_start
    from tickets
    group by theme, agency_code
),

grid as (
    select
        f.theme,
        f.agency_code,
        f.week_start + 7 * ahead.weeks as week_start,
        f.week_start + 7 * ahead.weeks + 6 as friday_on
    from first_weeks as f
    cross join lateral generate_series(0, ({{ as_of_week() }} - f.week_start) / 7) as ahead (weeks)
),

seen as (
    select
        g.theme,
        g.agency_code,
        g.week_start,
        g.friday_on,
        t.opened_on,
        t.closed_on,
        t.severity,
        t.due_on,
        t.due_at,
        t.closed_on is null or t.closed_on > g.friday_on as is_open
    from grid as g
    -- a group begins with its first ticket, so there is one for every week
    inner join tickets as t
        on
            g.theme = t.theme
            and g.agency_code = t.agency_code
            and g.friday_on >= t.opened_on
),

counted as (
    select
        theme,
        agency_code,
        week_start,
        count(*) filter (where opened_on >= week_start) as opened,
        count(*) filter (where closed_on between week_start and friday_on) as resolved,
        count(*) filter (where is_open) as open,
        count(*) filter (where is_open and due_at < {{ week_end_at('week_start') }}) as overdue,
        {{ median('friday_on - opened_on', 'is_open') }} as median_age_days,
        max(friday_on - opened_on) filter (where is_open) as oldest_age_days,
        count(*) filter (
            where is_open and (severity = 'critical' or friday_on - due_on > 28)
        ) as escalated
    from seen
    group by theme, agency_code, week_start
)

select
    theme as theme_code,
    agency_code,
    week_start,
    opened::integer as opened,
    resolved::integer as resolved,
    open::integer as open,
    overdue::integer as overdue,
    median_age_days::numeric(9, 2) as median_age_days,
    oldest_age_days,
    escalated::integer as escalated
from counted
