set local role payesh_owner;

-- Where every address of a load follows from the row's own, a record keeps only the raw texts of
-- its cells, and the load keeps once where they stand. Objects with an address and a header for
-- each cell took a third of the time and 60 % of the room of a large load (November 2026).
alter table raw.load add column places jsonb;
comment on column raw.load.places is
'{"<field>": [position, place, header]} where lineage holds arrays of raw texts. A place is the
letters of a column (D: sheet!7 -> sheet!D7), what is added (/actual: 0#/3 -> 0#/3/actual), or one
address for all rows (=form!B2).';

do $$
declare
    kind text;
begin
    foreach kind in array array[
        'progress', 'indicator_value', 'target', 'obligation_event', 'service_status',
        'ticket', 'funding', 'meeting', 'rating'
    ]
    loop
        execute format(
            'comment on column raw.%I.lineage is %L', kind,
            'Raw texts of the cells, to be read through raw.opened: an array, which raw.load.places'
            ' explains, or {"<field>": [address, raw text, header]}.'
        );
    end loop;
end
$$;

create function raw.opened(p_load_id bigint, p_locator text, p_lineage jsonb) returns jsonb
language sql stable as $$
    select case when jsonb_typeof(p_lineage) = 'array' then (
        select jsonb_object_agg(field, jsonb_build_array(
            case
                when entry ->> 1 like '/%' then p_locator || (entry ->> 1)
                when entry ->> 1 like '=%' then substr(entry ->> 1, 2)
                else regexp_replace(p_locator, '!([0-9]+)$', '!' || (entry ->> 1) || '\1')
            end,
            p_lineage -> (entry ->> 0)::integer,
            entry -> 2
        ))
        from raw.load as l
        cross join lateral jsonb_each(l.places) as f (field, entry)
        where l.load_id = p_load_id
    ) else p_lineage end
$$;
comment on function raw.opened(bigint, text, jsonb) is
'The cells of a record, {"<field>": [address, raw text, header]}: raw.opened(load_id, locator,
lineage).';

create or replace function ops.open_record(
    p_kind text, p_load_id bigint, p_record_no integer, p_field text
)
returns table (
    record_key text, value text, locator text, raw_text text, header text, is_retracted boolean
)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set datestyle = 'ISO, YMD' as $$
begin
    -- lineage also speaks of reference rows and of the ledger: those are no records
    if p_load_id is null or p_record_no is null or not exists (
        select from pg_attribute
        where attrelid = to_regclass(format('raw.%I', p_kind)) and attname = 'record_key'
    ) then
        return;
    end if;
    return query execute format(
        'select r.record_key, to_jsonb(r) ->> $3,
            coalesce(e.entry ->> 0, r.locator), e.entry ->> 1, e.entry ->> 2, r.is_retracted
        from raw.%I as r
        cross join lateral (
            select ops.lineage_entry(raw.opened(r.load_id, r.locator, r.lineage), $3) as entry
        ) as e
        where r.load_id = $1 and r.record_no = $2', p_kind
    ) using p_load_id, p_record_no, p_field;
end
$$;

revoke execute on function raw.opened(bigint, text, jsonb) from public;
grant execute on function raw.opened(bigint, text, jsonb) to payesh_ingest, payesh_transform;
