{#
    The calendar of owed reports: one row a source and week that it owes, up to the as-of week.
#}
{% macro owed_reports() -%}
    select
        s.source,
        s.agency_code,
        'week' as period_kind,
        {{ as_of_week() }} - 7 * back.weeks as period_start
    from {{ ref('stg_source') }} as s
    cross join lateral generate_series(0, ({{ as_of_week() }} - s.owed_from) / 7) as back (weeks)
    where
        s.cadence = 'weekly'
        and s.due_hours is not null
        and s.owed_from <= {{ as_of_week() }}
        and (s.owed_to is null or {{ as_of_week() }} - 7 * back.weeks <= s.owed_to)
{%- endmacro %}

{# When a weekly report falls due: so many hours after its week has closed, Tehran time (D22). #}
{% macro due_at(week_start, hours) -%}
    ((({{ week_start }}) + 7)::timestamp at time zone 'Asia/Tehran'
    + ({{ hours }})::double precision * interval '1 hour')
{%- endmacro %}

{% macro record_kinds() -%}
    {{ return([
        'progress', 'indicator_value', 'target', 'obligation_event', 'service_status', 'ticket',
        'funding', 'meeting', 'rating'
    ]) }}
{%- endmacro %}
