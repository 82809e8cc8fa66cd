{{ config(
    materialized='incremental',
    incremental_strategy='affected_partitions',
    on_schema_change='append_new_columns',
    pre_hook="{{ affect('provincial_balance') }}",
    indexes=[{'columns': ['period_start'], 'type': 'btree'}]
) }}

with

provinces as (
    select * from {{ ref('province') }}
),

cells as (
    select
        c.indicator_code,
        c.period_kind,
        c.period_start,
        c.period_label,
        c.value,
        p.region_no
    from {{ ref('provincial_indicator') }} as c
    inner join provinces as p on c.province_code = p.province_code
    {% if is_incremental() -%}
        inner join {{ affected('provincial_balance') }} as a
            on
                c.indicator_code = a.indicator_code
                and c.period_kind = a.period_kind
                and c.period_start = a.period_start
    {%- endif %}
),

periods as (
    select
        k.period_start,
        (count(*))::integer as n_expected
    from (select distinct period_start from cells) as k
    inner join provinces as p
        on
            (p.valid_from is null or k.period_start >= p.valid_from)
            and (p.valid_to is null or k.period_start <= p.valid_to)
    group by k.period_start
),

valued as (
    select
        c.*,
        count(*) over cell as n,
        sum(c.value) over cell as total,
        count(*) over region as region_n,
        sum(c.value) over region as region_total,
        row_number() over (
            partition by c.indicator_code, c.period_kind, c.period_start
            order by c.value
        ) as place
    from cells as c
    where c.value is not null
    window
        cell as (partition by c.indicator_code, c.period_kind, c.period_start),
        region as (partition by c.indicator_code, c.period_kind, c.period_start, c.region_no)
),

moments as (
    select
        indicator_code,
        period_kind,
        period_start,
        period_label,
        max(n) as n,
        max(total) as total,
        {{ ratio('max(total)', 'max(n)') }} as mean,
        {{ median('value') }} as median,
        max(value) as max_value,
        min(value) as min_value,
        -- n * sum of squares - square of the sum: no rounded mean in between
        greatest(max(n) * sum(value * value) - max(total) * max(total), 0) as n2_variance,
        sum((2 * place - n - 1) * value) as ordered_total
    from valued
    group by indicator_code, period_kind, period_start, period_label
),

judged as (
    select
        *,
        case
            when min_value < 0 then 'negative_values'
            when total = 0 then 'mean_zero'
        end as null_reason
    from moments
),

theil_terms as (
    select
        v.indicator_code,
        v.period_kind,
        v.period_start,
        case
            when v.value = 0 then 0
            else
                {{ ratio('v.value', 'v.total') }}
                * ln({{ ratio('v.value * v.n', 'v.total') }})
        end as whole,
        case
            when v.value = 0 then 0
            else
                {{ ratio('v.value', 'v.total') }}
                * ln({{ ratio('v.region_total * v.n', 'v.region_n * v.total') }})
        end as between_regions,
        case
            when v.value = 0 then 0
            else
                {{ ratio('v.value', 'v.total') }}
                * ln({{ ratio('v.value * v.region_n', 'v.region_total') }})
        end as within_regions
    from valued as v
    inner join judged as j
        on
            v.indicator_code = j.indicator_code
            and v.period_kind = j.period_kind
            and v.period_start = j.period_start
    where j.null_reason is null
),

theil as (
    select
        indicator_code,
        period_kind,
        period_start,
        sum(whole) as theil,
        sum(between_regions) as theil_between,
        sum(within_regions) as theil_within
    from theil_terms
    group by indicator_code, period_kind, period_start
),

keys as (
    select distinct
        indicator_code,
        period_kind,
        period_start,
        period_label
    from cells
),

computed as (
    select
        k.indicator_code,
        k.period_kind,
        k.period_start,
        k.period_label,
        coalesce(j.n, 0)::integer as n,
        p.n_expected,
        {{ ratio('coalesce(j.n, 0)', 'p.n_expected') }} as coverage,
        j.mean,
        j.median,
        {{ ratio('sqrt(round(j.n2_variance, 40))', 'j.n') }} as stddev,
        case
            when j.null_reason is null
                then {{ ratio('sqrt(round(j.n2_variance, 40))', 'j.total') }}
        end as cv,
        case
            when j.null_reason is null then {{ ratio('j.ordered_total', 'j.n * j.total') }}
        end as gini,
        t.theil,
        t.theil_between,
        t.theil_within,
        j.max_value,
        j.min_value,
        case
            when j.null_reason is null then {{ ratio('j.max_value', 'j.min_value') }}
        end as max_min_ratio,
        j.max_value - j.median as gap_max_to_median,
        j.median - j.min_value as gap_median_to_min,
        case when j.n is null then 'no_value' else j.null_reason end as null_reason
    from keys as k
    left join judged as j
        on
            k.indicator_code = j.indicator_code
            and k.period_kind = j.period_kind
            and k.period_start = j.period_start
    left join periods as p on k.period_start = p.period_start
    left join theil as t
        on
            k.indicator_code = t.indicator_code
            and k.period_kind = t.period_kind
            and k.period_start = t.period_start
)

-- rounded here and nowhere else, halves away from zero
select
    indicator_code,
    period_kind,
    period_start,
    period_label,
    n,
    n_expected,
    coverage::numeric(9, 6) as coverage,
    mean::numeric(28, 10) as mean,
    median::numeric(28, 10) as median,
    stddev::numeric(28, 10) as stddev,
    cv::numeric(18, 10) as cv,
    gini::numeric(18, 10) as gini,
    theil::numeric(18, 10) as theil,
    theil_between::numeric(18, 10) as theil_between,
    theil_within::numeric(18, 10) as theil_within,
    max_value::numeric(28, 10) as max_value,
    min_value::numeric(28, 10) as min_value,
    max_min_ratio::numeric(38, 6) as max_min_ratio,
    gap_max_to_median::numeric(38, 10) as gap_max_to_median,
    gap_median_to_min::numeric(38, 10) as gap_median_to_min,
    null_reason
from computed
