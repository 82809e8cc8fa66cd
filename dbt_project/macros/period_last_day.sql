{# Last day of a period; `y` is the row of official_leap_year whose year holds its first day. #}
{% macro period_last_day(kind, start, y) -%}
    (case {{ kind }}
        when 'week' then {{ start }} + 6
        when 'jalali_month'
            then {{ start }} - 1 + {{ jalali_month_length(jalali_month(start, y), y) }}
        when 'jalali_year' then {{ start }} + case when {{ y }}.is_leap then 365 else 364 end
        when 'gregorian_year' then (date_trunc('year', {{ start }}) + interval '1 year')::date - 1
        else {{ start }}
    end)
{%- endmacro %}
