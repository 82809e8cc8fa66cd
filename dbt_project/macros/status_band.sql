{#
    The band of a project or slice, from the newest version of the seed status_band: the band
    whose `actual_from_pct` is reached, else the one whose half-open interval holds the variance,
    else the band without conditions.
#}
{% macro status_band(actual, variance) -%}
    (
        select band.status_band
        from {{ ref('status_band') }} as band
        where
            band.band_version = (select max(v.band_version) from {{ ref('status_band') }} as v)
            and (
                (band.actual_from_pct is not null and {{ actual }} >= band.actual_from_pct)
                or (
                    (band.variance_from_pct is not null or band.variance_below_pct is not null)
                    and {{ variance }} is not null
                    and (
                        band.variance_from_pct is null or {{ variance }} >= band.variance_from_pct
                    )
                    and (
                        band.variance_below_pct is null or {{ variance }} < band.variance_below_pct
                    )
                )
                or (
                    band.actual_from_pct is null
                    and band.variance_from_pct is null
                    and band.variance_below_pct is null
                )
            )
        order by band.sort_no
        limit 1
    )
{%- endmacro %}
