set local role payesh_owner;

-- The warehouse says, for each mart, which record versions and reference rows stand behind a
-- figure (intermediate.lineage_<mart>); here they are opened to file, sheet, cell and raw text.
-- Functions, not views over those views: dbt replaces its views with `drop ... cascade`.

create function ops.lineage_entry(p_lineage jsonb, p_field text) returns jsonb
language sql immutable as $$
    -- lineage is kept by the name of the field in the source file; the warehouse names columns
    select coalesce(
        p_lineage -> p_field,
        p_lineage -> regexp_replace(p_field, '_(code|rial|on|at|pct)$', ''),
        p_lineage -> regexp_replace(p_field, '^(is|has)_', ''),
        case when p_field in ('period_start', 'period_kind') then p_lineage -> 'period' end
    )
$$;

create function ops.open_record(p_kind text, p_load_id bigint, p_record_no integer, p_field text)
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
        cross join lateral (select ops.lineage_entry(r.lineage, $3) as entry) as e
        where r.load_id = $1 and r.record_no = $2', p_kind
    ) using p_load_id, p_record_no, p_field;
end
$$;

create function ops.part_no(p_locator text) returns integer
language sql immutable as $$
    -- `2#/data/3` is part 2 of a paged answer; a sheet's address is in the only part
    select coalesce(substring(p_locator from '^([0-9]+)#')::integer, 0)
$$;

create function ops.lineage_of(p_mart text, p_key jsonb, p_column text default null)
returns table (
    mart_column text, role text, kind text, weight numeric, field text, value text,
    record_key text, locator text, header text, raw_text text, source text, file_name text,
    origin text, part_sha256 text, snapshot_sha256 text, snapshot_id bigint, load_id bigint,
    record_no integer, spec_sha256 text, rules_version text, received_at timestamptz,
    is_retracted boolean
)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set datestyle = 'ISO, YMD' rows 20 as $$
declare
    wanted ops.mart;
    condition text;
begin
    select * into wanted from ops.mart as m where m.mart = p_mart;
    if not found then
        raise exception 'there is no published mart %', p_mart using errcode = 'PY404';
    end if;
    if to_regclass(format('intermediate.%I', 'lineage_' || p_mart)) is null then
        -- a dimension has no lineage; a mart has none only while a full refresh makes it anew
        if exists (
            select from pg_locks
            where locktype = 'advisory' and granted and objsubid = 1
            and classid::bigint = 7291430155002 >> 32
            and objid::bigint = 7291430155002 & 4294967295
            and database = (select oid from pg_database where datname = current_database())
        ) then
            raise exception 'the lineage of mart % is being rebuilt', p_mart
                using errcode = 'PY409', hint = 'try again when the build has ended';
        end if;
        return;
    end if;
    select string_agg(
        format('l.%I = ($1 ->> %L)::%s', key, key, c.type), ' and ' order by key
    ) into condition
    from jsonb_object_keys(p_key) as key
    inner join ops.columns_of(to_regclass(format('history.%I', p_mart))) as c on c.name = key
    where key = any (wanted.grain);
    return query execute format(
        'select l.mart_column::text, l.role::text, l.kind::text, l.weight::numeric, l.field::text,
            cell.value, cell.record_key, cell.locator, cell.header, cell.raw_text,
            load.source, part.entry ->> ''name'', part.entry ->> ''origin'',
            part.entry ->> ''sha256'', snap.sha256, snap.snapshot_id, l.load_id::bigint,
            l.record_no::integer, load.spec_sha256, load.rules_version, load.received_at,
            cell.is_retracted
        from intermediate.%I as l
        left join raw.load as load on l.load_id = load.load_id
        left join raw.snapshot as snap on load.snapshot_id = snap.snapshot_id
        left join lateral ops.open_record(l.kind::text, l.load_id, l.record_no::integer, l.field::text)
            as cell on true
        left join lateral (
            select snap.parts -> ops.part_no(cell.locator) as entry
        ) as part on true
        where %s and ($2 is null or l.mart_column = $2)
        order by l.mart_column, l.role, load.source, l.load_id, l.record_no',
        'lineage_' || p_mart, coalesce(condition, 'true')
    ) using p_key, p_column;
end
$$;
comment on function ops.lineage_of(text, jsonb, text) is
'The records and reference rows behind one figure of the asked release, opened to their cells.';

create function ops.refresh_lineage() returns void
language plpgsql as $$
declare
    branches text;
    covered text;
begin
    -- Each branch names its mart as a constant, so a filter on `mart` leaves the others unread, and
    -- only the figures that pass the filter are opened.
    select
        string_agg(format(
            'select %1$L::text as mart, jsonb_build_object(%2$s) as figure_key
             from history.%3$I
             where release_from <= (select ops.asked_release())
             and (release_to is null or release_to > (select ops.asked_release()))',
            m.mart,
            (select string_agg(format('%1$L, %1$I', name), ', ' order by place)
             from unnest(m.grain) with ordinality as part (name, place)),
            m.mart
        ), ' union all ' order by m.mart),
        string_agg(m.mart, ',' order by m.mart)
    into branches, covered
    from ops.mart as m
    where not m.is_retired and to_regclass(format('history.%I', m.mart)) is not null;
    if coalesce(obj_description(to_regclass('marts.kpi_lineage'), 'pg_class'), '')
        like '%Marts: ' || covered || '.' then
        return;
    end if;
    execute
        'create or replace view marts.kpi_lineage as
        select
            (select ops.asked_release()) as release_no, figure.mart, figure.figure_key,
            cell.mart_column, cell.role, cell.weight, cell.kind, cell.field, cell.value,
            cell.source, cell.file_name, cell.locator, cell.header, cell.raw_text,
            cell.snapshot_sha256, cell.rules_version, cell.received_at
        from (' || branches || ') as figure
        cross join lateral ops.lineage_of(figure.mart, figure.figure_key) as cell';
    execute format(
        'comment on view marts.kpi_lineage is %L',
        'Live. Figure -> records -> file, sheet, cell, raw text, for the current release or that of '
        '`set payesh.release = N`. Filter on mart and figure_key: each figure is opened when it is '
        'read. Marts: ' || covered || '.'
    );
    grant select on marts.kpi_lineage to payesh_bi, payesh_transform;
end
$$;
