{{ config(
    materialized='incremental',
    incremental_strategy='changed_rows',
    unique_key=['committee_code', 'held_on', 'decision_place'],
    on_schema_change='fail',
    pre_hook="{{ touch_when_made('int_meeting_decision') }}",
    indexes=[{'columns': ['committee_code', 'held_on', 'decision_place'], 'unique': true}]
) }}

with

meetings as (
    select distinct on (committee_code, held_on) *
    from {{ ref('int_meeting_latest') }}
    where not is_retracted
    order by
        committee_code asc, held_on asc,
        received_at desc, source asc, load_id desc, record_no desc
),

items as (
    select
        m.committee_code,
        m.held_on,
        m.minuted_on,
        item.place,
        item.told ->> 'no' as decision_no,
        item.told ->> 'agency' as agency_code,
        item.told ->> 'due_on' as due_text
    from meetings as m
    cross join lateral jsonb_array_elements(
        case when jsonb_typeof(m.decisions) = 'array' then m.decisions else '[]'::jsonb end
    ) with ordinality as item (told, place)
)

select
    committee_code,
    held_on,
    place::integer as decision_place,
    minuted_on,
    committee_code || '-' || to_char(held_on, 'YYYY-MM-DD') || '-' || decision_no as decision_code,
    nullif(agency_code, '') as agency_code,
    {{ iso_date('due_text') }} as due_on
from items
