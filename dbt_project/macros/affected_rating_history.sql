{# Series that this build's loads speak of, and those with a rating that is newly shown. #}
{% macro affected_rating_history() -%}
    select
        project_code,
        agency_code,
        author
    from {{ ref('stg_rating') }}
    where {{ is_new_load('rating') }}
    union
    select
        project_code,
        agency_code,
        author
    from {{ ref('int_rating_latest') }}
    where rated_on > {{ week_last_shown() }} + 6 and rated_on <= {{ as_of_week() }} + 6
{%- endmacro %}
