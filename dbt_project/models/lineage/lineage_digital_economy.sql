with

roles as not materialized (
    select * from {{ ref('digital_economy_indicator') }}
),

cells as not materialized (
    select
        l.*,
        g.role as of_role
    from {{ ref('lineage_provincial_indicator') }} as l
    inner join roles as g on l.indicator_code = g.indicator_code
    where l.mart_column = 'value'
)

{{ inherited_line(
    'l.province_code, l.period_kind, l.period_start', 'c.mart_column',
    "cells as l
    inner join (
        values
        ('digital_value', 'digital_value'), ('gdp', 'gdp'),
        ('share_of_gdp', 'digital_value'), ('share_of_gdp', 'gdp'),
        ('share_of_national', 'digital_value')
    ) as c (mart_column, of_role) on l.of_role = c.of_role"
) }}

union all

-- sums over the nation, told by every province
{{ inherited_line(
    'p.province_code, l.period_kind, l.period_start', 'c.mart_column',
    ref('province') ~ " as p
    cross join cells as l
    inner join (
        values
        ('share_of_national', 'digital_value'), ('national_share', 'digital_value'),
        ('national_share', 'gdp'), ('coverage', 'digital_value')
    ) as c (mart_column, of_role) on l.of_role = c.of_role", role="'part of the nation'"
) }}

union all

{{ reference_line('p.province_code, k.period_kind, k.period_start', [
    ('national_target', 'target', 'reference:digital_economy_indicator'),
    ('coverage', 'validity', 'reference:province')
], "case c.role when 'target' then 'national_target' else p.province_code end",
ref('province') ~ ' as p
    cross join (select distinct s.period_kind, s.period_start from cells as s) as k') }}
