{#
    Latest version per (source, record_key) among the loads that a release knew: the release of
    `set payesh.release = N`, else the current one; a release that reverts to an earlier one knows
    what that one knew. A version counts unless a later one exists, so a condition on any column of
    the record narrows the search before anything is compared. No WITH: it would be a fence.
#}
{% macro latest_as_of(kind) -%}
select r.*
from {{ ref('stg_' ~ kind) }} as r
where
    not r.is_retracted
    and r.load_id in ({{ loads_known() }})
    and not exists (
        select
        from {{ ref('stg_' ~ kind) }} as later
        where
            later.source = r.source
            and later.period_start = r.period_start
            and later.record_key = r.record_key
            and (later.received_at, later.load_id, later.record_no)
            > (r.received_at, r.load_id, r.record_no)
            and later.load_id in ({{ loads_known() }})
    )
{%- endmacro %}

{% macro loads_known() -%}
        select l.load_id
        from {{ source('history', 'release_load') }} as l
        where l.release_no <= (select k.release_no from {{ ref('stg_release_known') }} as k)
{%- endmacro %}

{#
    The same versions, found by the columns in `by`: int_<kind>_latest knows every key that any
    release can have had and is indexed by subject; raw is indexed by source and period.
#}
{% macro records_as_of(kind, by) -%}
    select r.*
    from {{ ref('int_' ~ kind ~ '_latest') }} as k
    inner join {{ ref('stg_' ~ kind ~ '_as_of') }} as r
        on
            k.source = r.source
            and k.period_start = r.period_start
            and k.record_key = r.record_key
            {% for column in by -%}
                and k.{{ column }} = r.{{ column }}
            {% endfor %}
{%- endmacro %}

{#
    One branch of a lineage view: every mart column in `columns` stands on `field` of the record
    aliased `r`, in this role.
#}
{% macro lineage_columns(columns) -%}
    (
        values
        {% for column, role, field in columns -%}
            ('{{ column }}', '{{ role }}', '{{ field }}'){{ ',' if not loop.last }}
        {% endfor -%}
    ) as c (mart_column, role, field)
{%- endmacro %}
