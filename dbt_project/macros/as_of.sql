{#
    Latest version per (source, record_key) among the loads that a release knew: the release of
    `set payesh.release = N`, else the current one; a release that reverts to an earlier one knows
    what that one knew. A version counts unless a later one exists, so a condition on any column of
    the record narrows the search before anything is compared.
#}
{% macro latest_as_of(kind) -%}
with

known as (
    select l.load_id
    from {{ source('history', 'release_load') }} as l
    inner join {{ ref('stg_release_known') }} as k on l.release_no <= k.release_no
)

select r.*
from {{ ref('stg_' ~ kind) }} as r
where
    r.load_id in (select known.load_id from known)
    and not exists (
        select
        from {{ ref('stg_' ~ kind) }} as later
        where
            later.source = r.source
            and later.period_start = r.period_start
            and later.record_key = r.record_key
            and (later.received_at, later.load_id, later.record_no)
            > (r.received_at, r.load_id, r.record_no)
            and later.load_id in (select known.load_id from known)
    )
    and not r.is_retracted
{%- endmacro %}
