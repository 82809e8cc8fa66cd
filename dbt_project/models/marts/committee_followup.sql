{{ config(
    materialized='incremental',
    incremental_strategy='changed_rows',
    on_schema_change='append_new_columns',
    pre_hook="{{ touch_when_made('committee_followup') }}"
) }}

with

jalali_years as (
    select * from {{ ref('official_leap_year') }}
),

months as (
    select
        {{ jalali_month_start('m.month', 'y') }} as month_start,
        {{ jalali_month_start('m.month', 'y') }} + {{ jalali_month_length('m.month', 'y') }} - 1
            as month_end,
        y.jalali_year || '/' || lpad(m.month::text, 2, '0') as month_label
    from jalali_years as y
    cross join generate_series(1, 12) as m (month)
),

committees as (
    select * from {{ ref('committee') }}
),

meetings as (
    select distinct on (committee_code, held_on)
        committee_code,
        held_on,
        coalesce(due_period_start, held_on) as due_on,
        minuted_on
    from {{ ref('int_meeting_latest') }}
    where not is_retracted and held_on <= {{ as_of_week() }} + 6
    order by
        committee_code asc, held_on asc,
        received_at desc, source asc, load_id desc, record_no desc
),

done as (
    select distinct obligation_code
    from {{ ref('int_obligation_event_state') }}
    where
        status = 'done'
        and known_from <= {{ as_of_week() }} + 6
        and (known_to is null or known_to >= {{ as_of_week() }} + 6)
),

decisions as (
    select
        d.committee_code,
        d.held_on,
        count(*) as decisions,
        count(x.obligation_code) as implemented
    from {{ ref('int_meeting_decision') }} as d
    left join done as x on d.decision_code = x.obligation_code
    group by d.committee_code, d.held_on
),

held as (
    select
        g.committee_code,
        m.month_start,
        count(*) as meetings_held,
        count(*) filter (where g.minuted_on <= {{ as_of_week() }} + 6) as meetings_minuted,
        coalesce(sum(d.decisions), 0) as decisions,
        coalesce(sum(d.implemented), 0) as decisions_implemented
    from meetings as g
    inner join months as m on g.due_on between m.month_start and m.month_end
    left join decisions as d on g.committee_code = d.committee_code and g.held_on = d.held_on
    group by g.committee_code, m.month_start
),

due as (
    select
        c.committee_code,
        m.month_start,
        c.meeting_cadence = 'monthly' as is_due
    from committees as c
    inner join months as m
        on c.first_due_month <= m.month_start and m.month_start <= {{ as_of_week() }} + 6
),

shown as (
    select
        coalesce(h.committee_code, d.committee_code) as committee_code,
        coalesce(h.month_start, d.month_start) as month_start,
        (
            coalesce(d.is_due, false)
            -- a meeting may be held for a month to come
            or coalesce(c.meeting_cadence = 'monthly' and c.first_due_month <= h.month_start, false)
        )::integer as meetings_due,
        coalesce(h.meetings_held, 0)::integer as meetings_held,
        coalesce(h.meetings_minuted, 0)::integer as meetings_minuted,
        coalesce(h.decisions, 0)::integer as decisions,
        coalesce(h.decisions_implemented, 0)::integer as decisions_implemented
    from held as h
    full outer join due as d
        on h.committee_code = d.committee_code and h.month_start = d.month_start
    left join committees as c on h.committee_code = c.committee_code
)

select
    s.committee_code,
    s.month_start,
    m.month_label,
    s.meetings_due,
    s.meetings_held,
    s.meetings_minuted,
    s.decisions,
    s.decisions_implemented,
    s.meetings_held < s.meetings_due and m.month_end <= {{ as_of_week() }} + 6 as is_missed
from shown as s
inner join months as m on s.month_start = m.month_start
