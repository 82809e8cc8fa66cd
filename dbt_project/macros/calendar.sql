{# Jalali arithmetic over the official leap years: `y` is the row whose year holds the day. #}

{% macro in_jalali_year(day, y) -%}
    ({{ day }} >= {{ y }}.first_day_on
    and {{ day }} < {{ y }}.first_day_on + (case when {{ y }}.is_leap then 366 else 365 end))
{%- endmacro %}

{# Month of the Jalali year: six of 31 days, then 30 (traps D8, D9). #}
{% macro jalali_month(day, y) -%}
    (case
        when {{ day }} - {{ y }}.first_day_on < 186 then ({{ day }} - {{ y }}.first_day_on) / 31 + 1
        else ({{ day }} - {{ y }}.first_day_on - 186) / 30 + 7
    end)
{%- endmacro %}

{% macro jalali_day(day, y) -%}
    (case
        when {{ day }} - {{ y }}.first_day_on < 186 then ({{ day }} - {{ y }}.first_day_on) % 31 + 1
        else ({{ day }} - {{ y }}.first_day_on - 186) % 30 + 1
    end)
{%- endmacro %}

{#
    Label of the week that opens on this Saturday: Jalali year of the Saturday, then its number
    there. The week that straddles Nowruz belongs to the year in which it opens (trap D13).
#}
{% macro week_label(saturday, y) -%}
    ({{ y }}.jalali_year || '-W'
    || lpad((1 + ({{ saturday }} - {{ y }}.first_day_on) / 7)::text, 2, '0'))
{%- endmacro %}

{# Label of any period; `start` is its first day, Gregorian. #}
{% macro period_label(kind, start, y) -%}
    (case {{ kind }}
        when 'week' then {{ week_label(start, y) }}
        when 'jalali_month'
            then {{ y }}.jalali_year || '/' || lpad({{ jalali_month(start, y) }}::text, 2, '0')
        when 'jalali_year' then {{ y }}.jalali_year::text
        when 'gregorian_year' then to_char({{ start }}, 'YYYY')
        else to_char({{ start }}, 'YYYY-MM-DD')
    end)
{%- endmacro %}
