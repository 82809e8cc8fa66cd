{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('rating_history') }}"
) }}

with

scales as (
    select * from {{ ref('rating_scale') }}
),

ratings as (
    select distinct on (project_code, agency_code, author, rated_on) *
    from {{ ref('int_rating_latest') }}
    where
        not is_retracted
        and rated_on <= {{ as_of_week() }} + 6
        {% if is_incremental() -%}
            and (project_code, agency_code, author) in (
                select
                    a.project_code,
                    a.agency_code,
                    a.author
                from {{ affected('rating_history') }} as a
            )
        {%- endif %}
    order by
        project_code asc, agency_code asc, author asc, rated_on asc,
        received_at desc, source asc, load_id desc, record_no desc
),

-- no series goes across a change of scale (trap K14)
compared as (
    select
        r.*,
        row_number() over series as rating_no,
        lag(r.scale) over series as scale_before
    from ratings as r
    window series as (partition by r.project_code, r.agency_code, r.author order by r.rated_on)
),

breaks as (
    select
        c.*,
        c.rating_no > 1 and coalesce(c.scale, '') <> coalesce(c.scale_before, '') as is_break
    from compared as c
)

select
    b.project_code,
    b.agency_code,
    b.author,
    b.rated_on,
    b.scale,
    b.value::numeric(9, 4) as value,
    s.minimum::numeric(9, 4) as scale_min,
    s.maximum::numeric(9, 4) as scale_max,
    (1 + count(*) filter (where b.is_break) over (
        partition by b.project_code, b.agency_code, b.author order by b.rated_on
    ))::integer as series_no,
    b.is_break,
    coalesce(b.reason, '') <> '' as reason_given
from breaks as b
left join lateral (
    select
        k.minimum,
        k.maximum
    from scales as k
    where k.scale = b.scale and (k.valid_from is null or k.valid_from <= b.rated_on)
    order by k.valid_from desc nulls last
    limit 1
) as s on true
