{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('digital_economy') }}",
    indexes=[{'columns': ['period_start'], 'type': 'btree'}]
) }}

with

roles as (
    select * from {{ ref('digital_economy_indicator') }}
),

figures as (
    select
        v.province_code,
        v.period_kind,
        v.period_start,
        max(v.value) filter (where r.role = 'digital_value') as digital_value,
        max(v.value) filter (where r.role = 'gdp') as gdp
    from {{ ref('provincial_indicator') }} as v
    inner join roles as r on v.indicator_code = r.indicator_code
    {% if is_incremental() -%}
        where v.period_start in (
            select a.period_start from {{ affected('digital_economy') }} as a
        )
    {%- endif %}
    group by v.province_code, v.period_kind, v.period_start
),

nations as (
    select
        f.period_kind,
        f.period_start,
        sum(f.digital_value) as digital_sum,
        count(f.digital_value) as valued,
        sum(f.digital_value) filter (where f.gdp is not null) as digital_of_both,
        sum(f.gdp) filter (where f.digital_value is not null) as gdp_of_both,
        (
            select count(*)
            from {{ ref('province') }} as p
            where
                (p.valid_from is null or p.valid_from <= f.period_start)
                and (p.valid_to is null or p.valid_to >= f.period_start)
        ) as provinces
    from figures as f
    group by f.period_kind, f.period_start
)

select
    f.province_code,
    f.period_kind,
    f.period_start,
    f.digital_value::numeric(28, 10) as digital_value,
    f.gdp::numeric(28, 10) as gdp,
    {{ ratio('f.digital_value', 'n.digital_sum') }}::numeric(38, 6) as share_of_national,
    {{ ratio('f.digital_value', 'f.gdp') }}::numeric(38, 6) as share_of_gdp,
    {{ ratio('n.digital_of_both', 'n.gdp_of_both') }}::numeric(38, 6) as national_share,
    (select max(r.national_target) from roles as r)::numeric(9, 6) as national_target,
    {{ ratio('n.valued', 'n.provinces') }}::numeric(9, 6) as coverage
from figures as f
inner join nations as n on f.period_kind = n.period_kind and f.period_start = n.period_start
