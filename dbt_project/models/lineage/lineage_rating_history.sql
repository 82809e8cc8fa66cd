{{ record_line('r.project_code, r.agency_code, r.author, r.rated_on', 'rating', [
    ('scale', 'value', 'scale'),
    ('value', 'value', 'value'),
    ('reason_given', 'value', 'reason'),
    ('scale_min', 'value', 'scale'),
    ('scale_max', 'value', 'scale')
], ref('stg_rating_as_of') ~ ' as r') }}

union all

{{ record_line('k.project_code, k.agency_code, k.author, k.rated_on', 'rating', [
    ('series_no', 'rating so far', 'scale'),
    ('is_break', 'rating so far', 'scale')
], ref('stg_rating_as_of') ~ ' as k
    inner join ' ~ ref('stg_rating_as_of') ~ ' as r
        on
            k.project_code = r.project_code
            and k.agency_code = r.agency_code
            and k.author = r.author
            and k.rated_on >= r.rated_on') }}

union all

{{ reference_line('k.project_code, k.agency_code, k.author, k.rated_on', [
    ('scale_min', 'scale', 'reference:rating_scale'),
    ('scale_max', 'scale', 'reference:rating_scale')
], 's.scale', ref('stg_rating_as_of') ~ ' as k
    inner join ' ~ ref('rating_scale') ~ ' as s on k.scale = s.scale') }}
