with

events as not materialized (
    select r.*
    from (
        {{ records_as_of('obligation_event', ['obligation_code', 'agency_code']) }}
    ) as r
),

decisions as not materialized (
    select
        m.committee_code || '-' || to_char(m.held_on, 'YYYY-MM-DD') || '-' || (item.told ->> 'no')
            as obligation_code,
        item.told ->> 'agency' as agency_code,
        m.load_id,
        m.record_no
    from {{ ref('stg_meeting_as_of') }} as m
    cross join lateral jsonb_array_elements(
        case when jsonb_typeof(m.decisions) = 'array' then m.decisions else '[]'::jsonb end
    ) as item (told)
    where item.told ->> 'agency' <> '' and item.told ->> 'no' is not null
)

{{ record_line('r.obligation_code, r.agency_code', 'obligation_event', [
    ('state', 'event', 'status'),
    ('done_on', 'event', 'status'),
    ('days_overdue', 'event', 'status'),
    ('days_overdue_original', 'event', 'status'),
    ('events', 'event', 'event_on'),
    ('percent', 'event', 'percent_pct'),
    ('evidence', 'event', 'evidence'),
    ('anchor_on', 'anchor', 'anchor_on'),
    ('due_calendar_on', 'anchor', 'anchor_on'),
    ('due_days30_on', 'anchor', 'anchor_on'),
    ('due_original_on', 'anchor', 'anchor_on'),
    ('due_revised_on', 'anchor', 'anchor_on'),
    ('days_overdue', 'anchor', 'anchor_on'),
    ('days_overdue_original', 'anchor', 'anchor_on'),
    ('age_days', 'anchor', 'anchor_on'),
    ('due_revised_on', 'extension', 'extended_to'),
    ('days_overdue', 'extension', 'extended_to'),
    ('state', 'extension', 'extended_to'),
    ('state', 'anchor', 'anchor_on')
], 'events as r') }}
where
    case c.field
        when 'status' then r.status is not null
        when 'percent_pct' then r.percent_pct is not null
        when 'evidence' then r.evidence is not null
        when 'anchor_on' then r.anchor_on is not null
        when 'extended_to' then r.extended_to is not null
        else true
    end

union all

{{ record_line('r.obligation_code, r.agency_code', 'meeting', [
    ('state', 'decision', 'decisions'),
    ('due_calendar_on', 'decision', 'decisions'),
    ('due_days30_on', 'decision', 'decisions'),
    ('due_original_on', 'decision', 'decisions'),
    ('due_revised_on', 'decision', 'decisions'),
    ('days_overdue', 'decision', 'decisions'),
    ('days_overdue_original', 'decision', 'decisions'),
    ('instrument_code', 'decision', 'decisions'),
    ('theme', 'decision', 'decisions'),
    ('due_rule', 'decision', 'decisions'),
    ('cadence_kind', 'decision', 'decisions'),
    ('anchor_event', 'decision', 'decisions'),
    ('anchor_on', 'decision', 'held_on'),
    ('age_days', 'decision', 'held_on')
], 'decisions as r') }}

union all

-- whose completion or breach the obligation hangs on
{{ inherited_line(
    'd.obligation_code, d.agency_code', 'c.mart_column',
    "(
        select
            o.obligation_code,
            b.agency_code,
            found.code[1] as named_code
        from " ~ ref('obligation') ~ " as o
        inner join " ~ ref('obligation_debtor') ~ " as b on o.obligation_code = b.obligation_code
        cross join lateral regexp_matches(o.due_anchor, '\\m([A-Z][0-9]+b?)\\M', 'g')
            as found (code)
        where o.due_rule in ('event_offset', 'after_event', 'conditional')
    ) as d
    inner join (
        select
            e.*,
            'obligation_event' as kind,
            'status' as field,
            null::numeric as weight
        from events as e
    ) as l on d.named_code = l.obligation_code
    cross join (
        values
        ('state'), ('waiting_on'), ('anchor_on'), ('due_calendar_on'), ('due_days30_on'),
        ('due_original_on'), ('due_revised_on'), ('days_overdue'), ('days_overdue_original'),
        ('age_days')
    ) as c (mart_column)",
    role="'named obligation'"
) }}

union all

{{ reference_line('d.obligation_code, d.agency_code', [
    ('instrument_code', 'rule', 'reference:obligation'),
    ('theme', 'rule', 'reference:obligation'),
    ('due_rule', 'rule', 'reference:obligation'),
    ('cadence_kind', 'rule', 'reference:obligation'),
    ('anchor_event', 'rule', 'reference:obligation'),
    ('due_calendar_on', 'rule', 'reference:obligation'),
    ('due_days30_on', 'rule', 'reference:obligation'),
    ('due_original_on', 'rule', 'reference:obligation'),
    ('due_revised_on', 'rule', 'reference:obligation'),
    ('days_overdue', 'rule', 'reference:obligation'),
    ('days_overdue_original', 'rule', 'reference:obligation'),
    ('state', 'rule', 'reference:obligation'),
    ('waiting_on', 'rule', 'reference:obligation'),
    ('due_original_on', 'convention', 'reference:instrument'),
    ('age_days', 'issue', 'reference:instrument'),
    ('due_calendar_on', 'calendar', 'reference:country'),
    ('due_original_on', 'days of rest', 'reference:country'),
    ('state', 'debtor', 'reference:obligation_debtor')
], "case c.field
            when 'reference:instrument' then o.instrument_code
            when 'reference:country'
                then k.country_code || ' ' || k.calendar || ', rests on ' || k.rest_days
            when 'reference:obligation_debtor' then d.debtor_text
            else o.obligation_code || ' ' || o.due_rule || coalesce(' ' || o.due_text, '')
        end", ref('obligation_debtor') ~ ' as d
    inner join ' ~ ref('obligation') ~ ' as o on d.obligation_code = o.obligation_code
    inner join ' ~ ref('instrument') ~ ' as i on o.instrument_code = i.instrument_code
    inner join ' ~ ref('country') ~ ' as k on i.country_code = k.country_code') }}
