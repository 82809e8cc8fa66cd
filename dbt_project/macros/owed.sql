{#
    The calendar of owed reports: one row a source and week that it owes, up to the as-of week, with
    the hours by which the report may come later. Weeks without a duty (Nowruz, trap D14) and
    periods opened again stand in the seed reporting_exception.
#}
{% macro owed_reports() -%}
    select
        s.source,
        s.agency_code,
        'week' as period_kind,
        {{ as_of_week() }} - 7 * back.weeks as period_start,
        (
            select max(e.extra_hours)
            from {{ ref('reporting_exception') }} as e
            where e.exception_kind = 'due_extended' and {{ is_excepted('e', 's', 'g', 'back.weeks') }}
        ) as extra_hours
    from {{ ref('stg_source') }} as s
    left join {{ ref('agency') }} as g on s.agency_code = g.agency_code
    cross join lateral generate_series(0, ({{ as_of_week() }} - s.owed_from) / 7) as back (weeks)
    where
        s.cadence = 'weekly'
        and s.due_hours is not null
        and s.owed_from <= {{ as_of_week() }}
        and (s.owed_to is null or {{ as_of_week() }} - 7 * back.weeks <= s.owed_to)
        and not exists (
            select
            from {{ ref('reporting_exception') }} as e
            where e.exception_kind = 'not_owed' and {{ is_excepted('e', 's', 'g', 'back.weeks') }}
        )
{%- endmacro %}

{# The exception speaks of this source (of its agency, its agency's province) and of that week. #}
{% macro is_excepted(exception, source, agency, weeks_back) -%}
    (
        {{ exception }}.week_start = {{ as_of_week() }} - 7 * {{ weeks_back }}
        and coalesce({{ exception }}.source, {{ source }}.source) = {{ source }}.source
        and coalesce({{ exception }}.agency_code, {{ source }}.agency_code)
        = {{ source }}.agency_code
        and (
            {{ exception }}.province_code is null
            or {{ exception }}.province_code = {{ agency }}.province_code
        )
    )
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
