{#
    Tickets that this build's loads speak of; once a week those that were open, which age, and those
    opened since. A ticket that was closed stays as it is.
#}
{% macro affected_bottleneck_ticket() -%}
    select ticket_code from {{ ref('stg_ticket') }} where {{ is_new_load('ticket') }}
    union
    select ticket_code from {{ this }}
    where closed_on is null and {{ as_of_week() }} > {{ week_last_shown() }}
    union
    select ticket_code from {{ ref('int_ticket_known') }}
    where opened_on > {{ week_last_shown() }} + 6 and opened_on <= {{ as_of_week() }} + 6
{%- endmacro %}
