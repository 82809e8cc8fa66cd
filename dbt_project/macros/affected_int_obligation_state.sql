{#
    Obligations and weeks to judge again: from the day of an event that this build's loads speak of
    on, those whose anchor names them with them, decisions of a meeting that was told of anew, and
    all of them in weeks that are not (or no longer) shown.
#}
{% macro affected_int_obligation_state() -%}
with recursive

first_report as (
    {{ first_report_week() }}
),

shown as (
    select {{ as_of_week() }} - 7 * back.weeks as week_start
    from first_report as f
    cross join lateral generate_series(0, ({{ as_of_week() }} - f.week_start) / 7) as back (weeks)
    union
    select {{ as_of_week() }} as week_start
),

named as (
    select
        o.obligation_code,
        found.code[1] as named_code
    from {{ ref('obligation') }} as o
    cross join lateral regexp_matches(o.due_anchor, '\m([A-Z][0-9]+b?)\M', 'g')
        as found (code)
    where o.due_rule in ('event_offset', 'after_event', 'conditional')
),

-- decisions that were shown lately; older ones are shown still
standing_codes as (
    select distinct obligation_code
    from {{ this }}
    where week_start >= {{ week_last_shown() }}
),

meetings as (
    select distinct
        committee_code,
        held_on
    from {{ ref('stg_meeting') }}
    where {{ is_new_load('meeting') }}
),

incoming as (
    select
        obligation_code,
        min(event_on) as from_on
    from {{ ref('stg_obligation_event') }}
    where {{ is_new_load('obligation_event') }}
    group by obligation_code
    union
    select
        d.decision_code as obligation_code,
        d.held_on as from_on
    from {{ ref('int_meeting_decision') }} as d
    inner join meetings as m on d.committee_code = m.committee_code and d.held_on = m.held_on
    where d.decision_code is not null
    union
    select
        s.obligation_code,
        m.held_on as from_on
    from meetings as m
    inner join standing_codes as s
        on starts_with(
            s.obligation_code, m.committee_code || '-' || to_char(m.held_on, 'YYYY-MM-DD') || '-'
        )
),

reached as (
    select
        i.obligation_code,
        i.from_on
    from incoming as i
    union
    select
        n.obligation_code,
        r.from_on
    from reached as r
    inner join named as n on r.obligation_code = n.named_code
),

standing_first as (
    select min(week_start) as week_start from {{ this }}
),

codes as (
    select obligation_code from {{ ref('obligation_debtor') }}
    union
    select decision_code as obligation_code
    from {{ ref('int_meeting_decision') }}
    where decision_code is not null
    union
    select obligation_code from standing_codes
)

select
    r.obligation_code,
    w.week_start
from (
    select
        obligation_code,
        min(from_on) as from_on
    from reached
    group by obligation_code
) as r
inner join shown as w on r.from_on <= w.week_start + 6
union
select
    c.obligation_code,
    w.week_start
from codes as c
cross join shown as w
cross join standing_first as f
where w.week_start > {{ week_last_shown() }} or w.week_start < f.week_start
union
select
    t.obligation_code,
    t.week_start
from {{ this }} as t
where t.week_start < (select min(w.week_start) from shown as w)
{%- endmacro %}
