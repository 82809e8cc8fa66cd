{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    unique_key=['obligation_code', 'agency_code', 'known_from'],
    on_schema_change='fail',
    pre_hook="{{ affect('int_obligation_event_state') }}",
    indexes=[{'columns': ['obligation_code', 'agency_code', 'known_from'], 'unique': true}]
) }}

with

events as (
    select
        e.obligation_code,
        e.agency_code,
        e.event_on,
        nullif(e.status, '') as status,
        e.percent_pct,
        nullif(e.evidence, '') as evidence,
        e.extended_to,
        -- another obligation's anchor counts for nothing here
        case when e.anchor_event = o.due_anchor and o.due_rule = 'offset' then e.anchor_on end
            as anchor_on,
        row_number() over (
            partition by e.obligation_code, e.agency_code
            order by
                e.event_on asc, e.received_at asc, e.source desc, e.load_id asc, e.record_no asc
        ) as event_no
    from {{ ref('int_obligation_event_latest') }} as e
    left join {{ ref('obligation') }} as o on e.obligation_code = o.obligation_code
    where
        not e.is_retracted
        {% if is_incremental() -%}
            and (e.obligation_code, e.agency_code) in (
                select
                    a.obligation_code,
                    a.agency_code
                from {{ affected('int_obligation_event_state') }} as a
            )
        {%- endif %}
),

-- each figure holds until the next event that gives it: number the events that do
numbered as (
    select
        e.*,
        count(e.status) over so_far as status_no,
        count(*) filter (where e.status <> 'done') over so_far as undone_no,
        count(e.percent_pct) over so_far as percent_no,
        count(e.evidence) over so_far as evidence_no,
        count(e.extended_to) over so_far as extension_no,
        count(e.anchor_on) over so_far as anchor_no,
        lead(e.event_on) over so_far as next_on
    from events as e
    window so_far as (partition by e.obligation_code, e.agency_code order by e.event_no)
),

held as (
    select
        n.*,
        max(n.status) over (partition by n.obligation_code, n.agency_code, n.status_no)
            as last_status,
        -- told twice is done once: since the first of the unbroken run
        min(n.event_on) filter (where n.status = 'done') over (
            partition by n.obligation_code, n.agency_code, n.undone_no
        ) as done_since,
        max(n.percent_pct) over (partition by n.obligation_code, n.agency_code, n.percent_no)
            as last_percent_pct,
        max(n.evidence) over (partition by n.obligation_code, n.agency_code, n.evidence_no)
            as last_evidence,
        max(n.extended_to) over (partition by n.obligation_code, n.agency_code, n.extension_no)
            as last_extended_to,
        max(n.anchor_on) over (partition by n.obligation_code, n.agency_code, n.anchor_no)
            as last_anchor_on
    from numbered as n
)

select
    obligation_code,
    agency_code,
    event_on as known_from,
    next_on - 1 as known_to,
    last_status as status,
    case when last_status = 'done' then done_since end as done_on,
    last_percent_pct as percent_pct,
    last_evidence as evidence,
    last_extended_to as extended_to,
    last_anchor_on as anchor_on,
    event_no::integer as events
from held
where next_on is null or next_on > event_on
