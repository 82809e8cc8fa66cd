-- the obligations of the post's agency stand behind each figure; whose time they fall into is
-- told by the days in office
{{ inherited_line(
    'h.post_code, h.holder_code, d.instrument_code', 'c.mart_column',
    ref('head') ~ " as h
    inner join (
        select
            b.obligation_code,
            b.agency_code,
            o.instrument_code
        from " ~ ref('obligation_debtor') ~ " as b
        inner join " ~ ref('obligation') ~ " as o on b.obligation_code = o.obligation_code
    ) as d on h.agency_code = d.agency_code
    inner join " ~ ref('lineage_obligation_status') ~ " as l
        on d.obligation_code = l.obligation_code and d.agency_code = l.agency_code
    cross join (
        values
        ('obligations'), ('done_on_time'), ('done_late'), ('breached'), ('score'), ('verdict'),
        ('evidence'), ('agency_code'), ('reply_due_on'), ('state')
    ) as c (mart_column)"
) }}
where l.mart_column = 'state'

union all

{{ inherited_line(
    "h.post_code, h.holder_code, 'mazandaran_mou' as instrument_code", 'c.mart_column',
    ref('head') ~ " as h
    inner join " ~ ref('lineage_obligation_status') ~ " as l on h.agency_code = l.agency_code
    cross join (
        values
        ('obligations'), ('done_on_time'), ('done_late'), ('breached'), ('score'), ('verdict'),
        ('evidence'), ('agency_code'), ('reply_due_on'), ('state')
    ) as c (mart_column)"
) }}
where
    l.mart_column = 'state'
    and (
        l.kind = 'meeting'
        -- what became of a decision: its code is committee, day and number
        or (l.kind = 'obligation_event' and l.obligation_code ~ '-\d{4}-\d{2}-\d{2}-\d+$')
    )

union all

{{ reference_line('h.post_code, h.holder_code, i.instrument_code', [
    ('agency_code', 'office', 'reference:head'),
    ('obligations', 'office', 'reference:head'),
    ('reply_due_on', 'rule', 'reference:head'),
    ('state', 'rule', 'reference:head')
], "h.post_code || coalesce(' from ' || h.valid_from, '') || coalesce(' to ' || h.valid_to, '')",
ref('head') ~ ' as h
    cross join ' ~ ref('instrument') ~ ' as i') }}
