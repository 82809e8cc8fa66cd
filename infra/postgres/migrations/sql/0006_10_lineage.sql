set local role payesh_owner;

-- The lines of a figure's lineage by themselves, without the cells: what it is computed from again.
-- A line of the kind `figure:<mart>` names another figure, `column key=value ...` in its field.
create function ops.lineage_lines(p_mart text, p_key jsonb, p_column text default null)
returns table (
    mart_column text, role text, kind text, weight numeric, field text, load_id bigint,
    record_no integer
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
        if ops.is_building() then
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
        'select
            l.mart_column::text, l.role::text, l.kind::text, l.weight::numeric, l.field::text,
            l.load_id::bigint, l.record_no::integer
        from intermediate.%I as l
        where %s and ($2 is null or l.mart_column = $2)',
        'lineage_' || p_mart, coalesce(condition, 'true')
    ) using p_key, p_column;
end
$$;
comment on function ops.lineage_lines(text, jsonb, text) is
'The records, reference rows and other figures behind a figure of the asked release, unopened.';

create function ops.is_building() returns boolean
language sql stable as $$
    select exists (
        select from pg_locks
        where locktype = 'advisory' and granted and objsubid = 1
        and classid::bigint = 7291430155002 >> 32
        and objid::bigint = 7291430155002 & 4294967295
        and database = (select oid from pg_database where datname = current_database())
    )
$$;
comment on function ops.is_building() is 'True while a build of the warehouse is running.';

create or replace function ops.lineage_of(p_mart text, p_key jsonb, p_column text default null)
returns table (
    mart_column text, role text, kind text, weight numeric, field text, value text,
    record_key text, locator text, header text, raw_text text, source text, file_name text,
    origin text, part_sha256 text, snapshot_sha256 text, snapshot_id bigint, load_id bigint,
    record_no integer, spec_sha256 text, rules_version text, received_at timestamptz,
    is_retracted boolean
)
language sql stable security definer set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set datestyle = 'ISO, YMD' rows 20 as $$
    select
        l.mart_column, l.role, l.kind, l.weight, l.field,
        cell.value, cell.record_key, cell.locator, cell.header, cell.raw_text,
        load.source, part.entry ->> 'name', part.entry ->> 'origin',
        part.entry ->> 'sha256', snap.sha256, snap.snapshot_id, l.load_id,
        l.record_no, load.spec_sha256, load.rules_version, load.received_at,
        cell.is_retracted
    from ops.lineage_lines(p_mart, p_key, p_column) as l
    left join raw.load as load on l.load_id = load.load_id
    left join raw.snapshot as snap on load.snapshot_id = snap.snapshot_id
    left join lateral ops.open_record(l.kind, l.load_id, l.record_no, l.field) as cell on true
    left join lateral (
        select snap.parts -> ops.part_no(cell.locator) as entry
    ) as part on true
    order by l.mart_column, l.role, load.source, l.load_id, l.record_no
$$;

-- ---------------------------------------------------------------- views, made in one place
-- Three revisions had each wrapped the one before: the current view, the view as of a release,
-- restricted marts without either, counts that are withheld, the reader that owns them.
create or replace function ops.create_views(p_mart text) returns void
language plpgsql as $$
declare
    wanted ops.mart;
    ever text [] := ops.mart_columns(p_mart);
    live text [];
    target record;
    list text;
begin
    select * into wanted from ops.mart where mart = p_mart;
    if wanted.is_restricted then
        return;
    end if;
    -- a column that is not built any more leaves the current view, and stays readable as of then
    select array_agg(c.name) into live
    from ops.columns_of(coalesce(
        to_regclass(format('build.%I', p_mart)), to_regclass(format('history.%I', p_mart))
    )) as c
    where c.name = any (ever);
    for target in
        select
            'marts' as schema_name, 'current_release' as release_of, live as names,
            'release_to is null' as rows_of, wanted.description as told
        union all
        select
            'marts_as_of', 'asked_release',
            live || array(
                select name from unnest(ever) with ordinality as c (name, place)
                where name <> all (live) order by place
            ),
            'release_from <= (select ops.asked_release())
            and (release_to is null or release_to > (select ops.asked_release()))',
            wanted.description || ' As of the release of `set payesh.release = N`.'
    loop
        select string_agg(ops.shown_column(p_mart, name), ', ' order by place) into list
        from unnest(target.names) with ordinality as c (name, place);
        execute format(
            'create view %1$I.%2$I as
            select (select ops.%3$I()) as release_no, %4$s from history.%2$I where %5$s',
            target.schema_name, p_mart, target.release_of, list, target.rows_of
        );
        execute format('comment on view %I.%I is %L', target.schema_name, p_mart, target.told);
        execute format(
            'grant select on %I.%I to payesh_bi, payesh_transform', target.schema_name, p_mart
        );
        execute format('alter view %I.%I owner to payesh_reader', target.schema_name, p_mart);
        if ops.scope_condition(p_mart) is not null then
            execute format(
                'grant select on %I.%I to payesh_bi_scoped', target.schema_name, p_mart
            );
        end if;
    end loop;
end
$$;
comment on function ops.create_views(text) is
'Makes a mart''s views in marts and marts_as_of; none of a restricted one.';
drop function ops.make_views(text);

revoke execute on all functions in schema ops from public;
grant execute on function ops.lineage_lines(text, jsonb, text) to payesh_transform;
