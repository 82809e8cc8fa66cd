{{ config(
    materialized='incremental',
    incremental_strategy='changed_rows',
    on_schema_change='append_new_columns',
    pre_hook="{{ touch_when_made('head_assessment') }}"
) }}

with

debts as (
    select
        d.*,
        -- the day that decides in whose time in office it falls (trap E9)
        case
            when d.done_on is not null then d.done_on
            when d.state = 'breached' then d.due_revised_on + 1
            else {{ as_of_week() }} + 6
        end as judged_on
    from {{ ref('obligation_status') }} as d
),

heads as (
    select * from {{ ref('head') }}
),

counted as (
    select
        h.post_code,
        h.holder_code,
        d.instrument_code,
        h.agency_code,
        count(*) as obligations,
        count(*) filter (where d.state = 'done_on_time') as done_on_time,
        count(*) filter (where d.state = 'done_late') as done_late,
        count(*) filter (where d.state = 'breached') as breached,
        jsonb_object_agg(d.obligation_code, d.state) as evidence
    from debts as d
    inner join heads as h
        on
            d.agency_code = h.agency_code
            and (h.valid_from is null or d.judged_on >= h.valid_from)
            and (h.valid_to is null or d.judged_on <= h.valid_to)
    group by h.post_code, h.holder_code, d.instrument_code, h.agency_code
),

scored as (
    select
        c.*,
        c.done_on_time + c.done_late + c.breached as decided,
        {{ ratio(
            '2 * c.done_on_time + c.done_late',
            '2 * (c.done_on_time + c.done_late + c.breached)'
        ) }} as score
    from counted as c
)

select
    post_code,
    holder_code,
    instrument_code,
    agency_code,
    obligations::integer as obligations,
    done_on_time::integer as done_on_time,
    done_late::integer as done_late,
    breached::integer as breached,
    score::numeric(9, 6) as score,
    case
        when decided < 3 then 'insufficient'
        when score >= 0.8 and breached = 0 then 'commended'
        when score < 0.5 then 'criticised'
        else 'neither'
    end as verdict,
    {{ as_of_week() }} + 20 as reply_due_on,
    -- to publish it is a human act
    'draft' as state,
    evidence
from scored
