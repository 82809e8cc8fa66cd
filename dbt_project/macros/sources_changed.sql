{#
    Sources that are registered otherwise than when the marts were last written: dim_source holds
    them as they were, because it is written after every mart that asks here (see dim_source.sql).
    No ref, or dbt would take that order for a circle.
#}
{% macro sources_changed() -%}
    {%- set terms = 'source, agency_code, is_simulated, kind, cadence, due_hours, grace_hours, owed_from, owed_to, retired_on' -%}
    {%- set before = api.Relation.create(
        database=this.database, schema='build', identifier='dim_source'
    ) -%}
    select c.source
    from (
        (select {{ terms }} from {{ ref('stg_source') }} except select {{ terms }} from {{ before }})
        union all
        (select {{ terms }} from {{ before }} except select {{ terms }} from {{ ref('stg_source') }})
    ) as c
    group by c.source
{%- endmacro %}
