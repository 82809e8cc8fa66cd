{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    unique_key=['week_start', 'obligation_code', 'agency_code'],
    on_schema_change='fail',
    pre_hook="{{ affect('int_obligation_state') }}",
    indexes=[{'columns': ['week_start', 'obligation_code', 'agency_code'], 'unique': true}]
) }}

with {% if is_incremental() %}recursive{% endif %}

-- obligations that an anchor's words name: "notification of the approved principles (A24)"
named as (
    select
        o.obligation_code,
        found.code[1] as named_code,
        found.place
    from {{ ref('obligation') }} as o
    cross join lateral regexp_matches(o.due_anchor, '\m([A-Z][0-9]+b?)\M', 'g')
        with ordinality as found (code, place)
    where o.due_rule in ('event_offset', 'after_event', 'conditional')
),

{% if is_incremental() -%}
affected as (
    select * from {{ affected('int_obligation_state') }}
),

-- what an obligation hangs on is judged with it
needed as (
    select
        a.obligation_code,
        a.week_start
    from affected as a
    union
    select
        m.named_code as obligation_code,
        n.week_start
    from needed as n
    inner join named as m on n.obligation_code = m.obligation_code
),

weeks as (
    select distinct
        a.week_start,
        a.week_start + 6 as as_of_on
    from affected as a
),
{%- else -%}
first_report as (
    {{ first_report_week() }}
),

weeks as (
    select
        {{ as_of_week() }} - 7 * back.weeks as week_start,
        {{ as_of_week() }} - 7 * back.weeks + 6 as as_of_on
    from first_report as f
    cross join lateral generate_series(
        0, greatest(({{ as_of_week() }} - f.week_start) / 7, 0)
    ) as back (weeks)
    union
    select
        {{ as_of_week() }} as week_start,
        {{ as_of_week() }} + 6 as as_of_on
),
{%- endif %}

jalali_years as (
    select * from {{ ref('official_leap_year') }}
),

instruments as (
    select
        i.*,
        c.calendar,
        c.rest_days
    from {{ ref('instrument') }} as i
    left join {{ ref('country') }} as c on i.country_code = c.country_code
),

-- the day that an obligation's own words name
worded as (
    select
        o.obligation_code,
        case o.due_rule
            when 'absolute' then {{ jalali_month_start('j.month', 'y') }} + j.day - 1
            when 'before' then m.month_on
            when 'in_month' then (m.month_on + interval '1 month')::date
        end - case when o.due_rule in ('before', 'in_month') then 1 else 0 end as due_on
    from {{ ref('obligation') }} as o
    cross join lateral (
        select
            substring(o.due_text from '(\d{4})/\d{2}/\d{2}')::integer as year,
            substring(o.due_text from '\d{4}/(\d{2})/\d{2}')::integer as month,
            substring(o.due_text from '\d{4}/\d{2}/(\d{2})')::integer as day
    ) as j
    cross join lateral (
        select
            to_date(
                substring(
                    o.due_text from
                    '((?:January|February|March|April|May|June|July|August|September|October'
                    || '|November|December) \d{4})'
                ),
                'FMMonth YYYY'
            ) as month_on
    ) as m
    left join jalali_years as y on j.year = y.jalali_year
    where o.due_rule in ('absolute', 'before', 'in_month')
),

listed as (
    select
        o.obligation_code,
        d.agency_code,
        o.instrument_code,
        o.theme,
        o.due_rule,
        o.cadence_kind,
        o.due_amount,
        o.due_unit,
        nullif(o.due_anchor, '') as anchor_event,
        null::date as held_on,
        w.due_on,
        null::date as owed_from
    from {{ ref('obligation_debtor') }} as d
    inner join {{ ref('obligation') }} as o on d.obligation_code = o.obligation_code
    left join worded as w on o.obligation_code = w.obligation_code
),

-- a minuted decision becomes an obligation like any other
decided as (
    select distinct on (decision_code, agency_code)
        decision_code as obligation_code,
        agency_code,
        'mazandaran_mou' as instrument_code,
        'committee' as theme,
        'decision' as due_rule,
        'one-off' as cadence_kind,
        null::integer as due_amount,
        null::text as due_unit,
        'held_on' as anchor_event,
        held_on,
        due_on,
        greatest(held_on, minuted_on) as owed_from
    from {{ ref('int_meeting_decision') }}
    where decision_code is not null and agency_code is not null and minuted_on is not null
    order by decision_code asc, agency_code asc, decision_place desc
),

debts as (
    select * from listed
    union all
    select * from decided
),

told as (
    select
        w.week_start,
        w.as_of_on,
        d.*,
        e.status,
        e.done_on,
        e.percent_pct,
        e.evidence,
        e.extended_to,
        e.anchor_on as recorded_on,
        coalesce(e.events, 0) as events
    from debts as d
    inner join weeks as w on d.owed_from is null or d.owed_from <= w.as_of_on
    {% if is_incremental() -%}
        inner join needed as n
            on d.obligation_code = n.obligation_code and w.week_start = n.week_start
    {%- endif %}
    left join {{ ref('int_obligation_event_state') }} as e
        on
            d.obligation_code = e.obligation_code
            and d.agency_code = e.agency_code
            and w.as_of_on >= e.known_from
            and (e.known_to is null or w.as_of_on <= e.known_to)
),

completed as (
    select
        week_start,
        obligation_code,
        count(*) filter (where status is distinct from 'void') as owed,
        count(done_on) as done,
        max(done_on) as done_on
    from told
    where obligation_code in (select n.named_code from named as n)
    group by week_start, obligation_code
),

awaited as (
    select
        w.week_start,
        n.obligation_code,
        string_agg(n.named_code, ', ' order by n.place)
            filter (where c.owed is null or c.owed = 0 or c.done < c.owed) as waiting_on,
        max(c.done_on) as done_on
    from named as n
    cross join weeks as w
    left join completed as c on n.named_code = c.obligation_code and w.week_start = c.week_start
    group by w.week_start, n.obligation_code
),

anchored as (
    select
        t.*,
        a.waiting_on,
        case t.due_rule
            when 'offset' then t.recorded_on
            when 'event_offset' then case when a.waiting_on is null then a.done_on end
            when 'decision' then t.held_on
        end as anchor_on
    from told as t
    left join awaited as a
        on
            t.obligation_code = a.obligation_code
            and t.week_start = a.week_start
            and t.due_rule in ('event_offset', 'after_event')
),

-- each limit is counted once, however many debtors and weeks it holds for
limits as (
    select
        a.anchor_on,
        a.due_amount,
        a.due_unit,
        y.jalali_year * 12 + {{ jalali_month('a.anchor_on', 'y') }} - 1 + a.due_amount as month_no,
        {{ jalali_day('a.anchor_on', 'y') }} as day_no
    from (
        select distinct
            anchor_on,
            coalesce(due_amount, 0) as due_amount,
            coalesce(due_unit, '') as due_unit
        from anchored
        where due_rule in ('offset', 'event_offset') and anchor_on is not null
    ) as a
    inner join jalali_years as y on {{ in_jalali_year('a.anchor_on', 'y') }}
),

counted as (
    select
        l.anchor_on,
        l.due_amount,
        l.due_unit,
        case l.due_unit
            -- a month that is too short ends the limit on its last day
            when 'month'
                then
                    {{ jalali_month_start('(l.month_no % 12 + 1)', 'y') }}
                    + least(l.day_no, {{ jalali_month_length('(l.month_no % 12 + 1)', 'y') }}) - 1
            when 'week' then l.anchor_on + 7 * l.due_amount
            else l.anchor_on + l.due_amount
        end as due_calendar_on,
        -- a country that counts Gregorian months ends them by the same rule
        case
            when l.due_unit = 'month'
                then (l.anchor_on + l.due_amount * interval '1 month')::date
        end as due_gregorian_on,
        -- the day of notification itself does not count
        l.anchor_on
        + l.due_amount * case l.due_unit when 'month' then 30 when 'week' then 7 else 1 end
            as due_days30_on
    from limits as l
    inner join jalali_years as y on l.month_no / 12 = y.jalali_year
),

dated as (
    select
        a.*,
        i.country_code,
        i.rest_days,
        i.issued_on,
        i.rolls_to_working_day and a.due_rule <> 'decision' as is_rolled,
        coalesce(d.due_calendar_on, a.due_on) as due_calendar_on,
        coalesce(c.due_days30_on, a.due_on) as due_days30_on,
        case
            when i.month_convention = 'days30' then coalesce(c.due_days30_on, a.due_on)
            else coalesce(d.due_calendar_on, a.due_on)
        end as due_unrolled_on
    from anchored as a
    left join instruments as i on a.instrument_code = i.instrument_code
    left join counted as c
        on
            a.due_rule in ('offset', 'event_offset')
            and a.anchor_on = c.anchor_on
            and coalesce(a.due_amount, 0) = c.due_amount
            and coalesce(a.due_unit, '') = c.due_unit
    cross join lateral (
        select
            case
                when i.calendar = 'gregorian' then coalesce(c.due_gregorian_on, c.due_calendar_on)
                else c.due_calendar_on
            end as due_calendar_on
    ) as d
),

-- each day is rolled once for a country
working_days as (
    select
        u.country_code,
        u.due_on,
        (
            select min(u.due_on + ahead.days)
            from generate_series(0, 60) as ahead (days)
            where
                position(extract(isodow from u.due_on + ahead.days)::text in u.rest_days) = 0
                and not exists (
                    select
                    from {{ ref('int_holiday') }} as h
                    where
                        h.holiday_on = u.due_on + ahead.days
                        and h.country_code = u.country_code
                        and coalesce(h.province_code, '') = ''
                )
        ) as working_on
    from (
        select distinct
            d.country_code,
            d.rest_days,
            d.due_unrolled_on as due_on
        from dated as d
        where d.is_rolled and d.due_unrolled_on is not null
    ) as u
),

rolled as (
    select
        d.*,
        case when d.is_rolled then r.working_on else d.due_unrolled_on end as due_original_on
    from dated as d
    left join working_days as r
        on d.country_code = r.country_code and d.due_unrolled_on = r.due_on
),

revised as (
    select
        r.*,
        -- an extension of nothing dates nothing
        case when r.due_original_on is not null then coalesce(r.extended_to, r.due_original_on) end
            as due_revised_on
    from rolled as r
),

judged as (
    select
        r.*,
        case
            when r.status = 'void' then 'void'
            when r.done_on > r.due_revised_on then 'done_late'
            when r.done_on is not null then 'done_on_time'
            when r.as_of_on > r.due_revised_on then 'breached'
            when r.due_revised_on - r.as_of_on <= 14 then 'due_soon'
            when r.due_revised_on is not null then 'live'
            when r.due_rule = 'offset' then 'undetermined'
            when r.due_rule = 'conditional' then 'dormant'
            when r.waiting_on is not null then 'waiting'
            else 'undated'
        end as state_alone
    from revised as r
),

broken as (
    select distinct
        n.obligation_code,
        j.week_start
    from named as n
    inner join judged as j on n.named_code = j.obligation_code
    where j.state_alone in ('breached', 'done_late')
),

settled as (
    select
        j.*,
        case
            when j.state_alone = 'dormant' and b.week_start is not null then 'live'
            else j.state_alone
        end as state
    from judged as j
    left join broken as b
        on
            j.due_rule = 'conditional'
            and j.obligation_code = b.obligation_code
            and j.week_start = b.week_start
)

select
    s.week_start,
    s.obligation_code,
    s.agency_code,
    s.instrument_code,
    s.theme,
    s.due_rule,
    s.cadence_kind,
    s.anchor_event,
    s.anchor_on,
    s.due_calendar_on,
    s.due_days30_on,
    s.due_original_on,
    s.due_revised_on,
    s.state,
    s.done_on,
    s.percent_pct,
    s.evidence,
    case
        when s.state in ('undetermined', 'undated', 'waiting', 'dormant') then null
        when s.state in ('breached', 'done_late')
            then coalesce(s.done_on, s.as_of_on) - s.due_revised_on
        else 0
    end as days_overdue,
    case
        when s.state in ('undetermined', 'undated', 'waiting', 'dormant') then null
        when s.state = 'void' or s.due_original_on is null then 0
        else greatest(0, coalesce(s.done_on, s.as_of_on) - s.due_original_on)
    end as days_overdue_original,
    s.as_of_on - coalesce(s.anchor_on, s.issued_on) as age_days,
    s.waiting_on,
    s.events
from settled as s
{% if is_incremental() -%}
    inner join affected as a
        on s.obligation_code = a.obligation_code and s.week_start = a.week_start
{%- endif %}
