{# Three rows, computed whole; the query only says what they stand on. #}
{% macro affected_early_warning_track() -%}
    select count(*) as outcomes from {{ ref('int_forecast_outcome') }} where false
{%- endmacro %}
