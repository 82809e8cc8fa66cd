{# Tickets that this build's loads speak of, and those opened in a week that is newly shown. #}
{% macro affected_int_ticket_known() -%}
    select ticket_code from {{ ref('stg_ticket') }} where {{ is_new_load('ticket') }}
    union
    select ticket_code from {{ ref('int_ticket_latest') }}
    where
        opened_at >= {{ week_end_at(week_last_shown()) }}
        and opened_at < {{ week_end_at(as_of_week()) }}
{%- endmacro %}
