{# Dates that are counted in Jalali months, over the official leap years (traps D8-D10). #}

{# Days of month `month` of the year whose row is `y`. #}
{% macro jalali_month_length(month, y) -%}
    (case
        when {{ month }} <= 6 then 31
        when {{ month }} <= 11 or {{ y }}.is_leap then 30
        else 29
    end)
{%- endmacro %}

{# First day of month `month` of the year whose row is `y`. #}
{% macro jalali_month_start(month, y) -%}
    ({{ y }}.first_day_on
    + (case when {{ month }} <= 7 then ({{ month }} - 1) * 31 else 186 + ({{ month }} - 7) * 30 end))
{%- endmacro %}

{# The day that a text names as ISO date, null for any other text: it never raises. #}
{% macro iso_date(text) -%}
    (case
        when
            {{ text }} ~ '^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$'
            then (
                select read.day_on
                from (
                    select (left({{ text }}, 7) || '-01')::date + right({{ text }}, 2)::integer - 1
                        as day_on
                ) as read
                where to_char(read.day_on, 'YYYY-MM-DD') = {{ text }}
            )
    end)
{%- endmacro %}

{# The Saturday that opens the week of a day since 2000. #}
{% macro week_of(day) -%}
    ({{ day }} - ({{ day }} - date '2000-01-01') % 7)
{%- endmacro %}

{# First moment after the week, Tehran time. #}
{% macro week_end_at(week_start) -%}
    (({{ week_start }} + 7)::timestamp at time zone 'Asia/Tehran')
{%- endmacro %}

{# The day of a moment in Tehran. #}
{% macro tehran_day(moment) -%}
    (({{ moment }} at time zone 'Asia/Tehran')::date)
{%- endmacro %}
