set local role payesh_owner;

-- ---------------------------------------------------------------- content hashes
-- A mart's hash is the sum, in four lanes modulo 2^64, of the SHA-256 of its rows: it does not
-- depend on their order and follows a release by adding what came and taking off what went. A row
-- is written as its non-null columns by name, each with its length, so a column that is added
-- later leaves the hashes of older releases as they are.
create function ops.row_text(p_columns text[]) returns text
language sql immutable as $$
    select 'concat_ws('''', ' || string_agg(
        format(
            $f$%1$L || length(%2$s.%3$I::text)::text || ':' || %2$s.%3$I::text$f$,
            name || '=', 'r', name
        ), ', ' order by name collate "C"
    ) || ')'
    from unnest(p_columns) as name
$$;
comment on function ops.row_text(text[]) is
'The SQL expression that writes a row `r` as text for its hash.';

create function ops.lane_sums(p_columns text[]) returns text
language sql immutable as $$
    select format(
        'count(*), array[%s] from (select sha256(convert_to(%s, ''UTF8'')) as d from rows_in as r) as digest',
        string_agg(
            format(
                'coalesce(sum((''x'' || encode(substring(d, %s, 8), ''hex''))::bit(64)::bigint), 0)',
                1 + 8 * lane
            ), ', ' order by lane
        ),
        ops.row_text(p_columns)
    )
    from generate_series(0, 3) as lane
$$;

create function ops.lane_hash(p_before text, p_added numeric[], p_closed numeric[]) returns text
language sql immutable as $$
    select string_agg(
        lpad(to_hex((case when value >= 9223372036854775808
            then value - 18446744073709551616 else value end)::bigint), 16, '0'), '' order by lane
    )
    from (
        select
            lane,
            mod(mod(
                coalesce(('x' || substr(p_before, 1 + 16 * (lane - 1), 16))::bit(64)::bigint, 0)
                + p_added[lane] - p_closed[lane], 18446744073709551616
            ) + 18446744073709551616, 18446744073709551616) as value
        from generate_series(1, 4) as lane
    ) as lanes
$$;

-- ---------------------------------------------------------------- the tables of history
create function ops.columns_of(p_relation regclass) returns table (name text, type text)
language sql stable as $$
    select attname::text, format_type(atttypid, atttypmod)
    from pg_attribute
    where attrelid = p_relation and attnum > 0 and not attisdropped
    order by attnum
$$;

create function ops.mart_columns(p_mart text) returns text[]
language sql stable as $$
    select array_agg(name) from ops.columns_of(to_regclass(format('history.%I', p_mart)))
    where name not in ('release_from', 'release_to')
$$;
comment on function ops.mart_columns(text) is 'All columns that any release of the mart has had.';

create function ops.create_views(p_mart text) returns void
language plpgsql as $$
declare
    live text [];
    ever text [] := ops.mart_columns(p_mart);
    list text;
begin
    -- a column that is not built any more leaves the current view, and stays readable as of then
    select array_agg(name) into live
    from ops.columns_of(coalesce(
        to_regclass(format('build.%I', p_mart)), to_regclass(format('history.%I', p_mart))
    ))
    where name = any (ever);
    select string_agg(quote_ident(name), ', ' order by place) into list
    from unnest(live) with ordinality as column_of (name, place);
    execute format(
        'create view marts.%1$I as select (select ops.current_release()) as release_no, %2$s
         from history.%1$I where release_to is null', p_mart, list
    );
    select string_agg(quote_ident(name), ', ' order by is_gone, place) into list
    from (
        select name, place, name <> all (live) as is_gone
        from unnest(ever) with ordinality as column_of (name, place)
    ) as ordered;
    execute format(
        'create view marts_as_of.%1$I as select (select ops.asked_release()) as release_no, %2$s
         from history.%1$I
         where release_from <= (select ops.asked_release())
         and (release_to is null or release_to > (select ops.asked_release()))', p_mart, list
    );
    execute format(
        'comment on view marts.%I is %L', p_mart,
        (select description from ops.mart where mart = p_mart)
    );
    execute format(
        'comment on view marts_as_of.%I is %L', p_mart,
        (select description from ops.mart where mart = p_mart)
        || ' As of the release of `set payesh.release = N`.'
    );
    execute format(
        'grant select on marts.%1$I, marts_as_of.%1$I to payesh_bi, payesh_transform', p_mart
    );
end
$$;

create function ops.drop_views(p_mart text) returns void
language plpgsql as $$
begin
    execute format('drop view if exists marts.%1$I', p_mart);
    execute format('drop view if exists marts_as_of.%1$I', p_mart);
exception
    when dependent_objects_still_exist then
        raise exception 'the columns of mart % have changed, and other views stand on it', p_mart
            using errcode = 'PY409', detail = sqlerrm,
            hint = 'drop those views, publish, and make them again';
end
$$;

create function ops.protect_history(p_mart text) returns void
language plpgsql as $$
declare
    list text;
begin
    select string_agg(quote_ident(name), ', ') into list
    from unnest(ops.mart_columns(p_mart) || 'release_from'::text) as name;
    execute format('drop trigger if exists stands on history.%I', p_mart);
    execute format(
        'create trigger stands before update of %s on history.%I
         for each statement execute function history.refuse_change()', list, p_mart
    );
end
$$;

create function ops.ensure_history(p_mart text) returns boolean
language plpgsql security definer set search_path = pg_catalog,
pg_temp set lock_timeout = '5s' as $$
declare
    wanted ops.mart;
    origin regclass := to_regclass(format('build.%I', p_mart));
    target regclass := to_regclass(format('history.%I', p_mart));
    had_views boolean := to_regclass(format('marts.%I', p_mart)) is not null;
    list text;
    change record;
    differs boolean;
begin
    select * into wanted from ops.mart where mart = p_mart;
    if not found then
        raise exception 'mart % is not registered', p_mart
            using errcode = 'PY404', hint = 'build the warehouse first';
    end if;
    if origin is null then
        raise exception 'mart % has not been built', p_mart
            using errcode = 'PY404', detail = format('build.%I', p_mart),
            hint = 'build the warehouse first';
    end if;
    for change in
        select name from unnest(wanted.grain || coalesce(wanted.partition_by, wanted.grain[1])) as name
        where name not in (select columns_of.name from ops.columns_of(origin))
    loop
        raise exception 'mart % has no column %, which its declaration names', p_mart, change.name
            using errcode = 'PY409', detail = format('build.%I', p_mart),
            hint = 'correct `grain` or `partition_by` of the dbt model';
    end loop;

    if target is null then
        select string_agg(format('%I %s', name, type), ', ') into list from ops.columns_of(origin);
        execute format(
            'create table history.%I (%s, release_from integer not null, release_to integer,
             constraint ends_after_it_begins check (release_to > release_from))', p_mart, list
        );
        -- partition first: what a build has rewritten is found by it
        select string_agg(quote_ident(name), ', ' order by (name is distinct from wanted.partition_by), place)
        into list from unnest(wanted.grain) with ordinality as part (name, place);
        execute format(
            'create unique index %I on history.%I (%s) where release_to is null',
            p_mart || '_current', p_mart, list
        );
        if wanted.partition_by is not null and wanted.partition_by <> all (wanted.grain) then
            execute format(
                'create index %I on history.%I (%I) where release_to is null',
                p_mart || '_partition', p_mart, wanted.partition_by
            );
        end if;
        execute format(
            'create index %I on history.%I (release_to) where release_to is not null',
            p_mart || '_closed', p_mart
        );
        execute format(
            'create index %I on history.%I using brin (release_from) with (pages_per_range = 16)',
            p_mart || '_opened', p_mart
        );
        execute format(
            'create trigger closed_stands before update of release_to on history.%I
             for each row when (old.release_to is not null or new.release_to is null)
             execute function history.refuse_change()', p_mart
        );
        execute format(
            'create trigger never_deleted before delete or truncate on history.%I
             for each statement execute function history.refuse_change()', p_mart
        );
        perform ops.protect_history(p_mart);
        execute format('grant select on history.%I to payesh_transform', p_mart);
        return true;
    end if;

    if not exists (
        (select name, type from ops.columns_of(origin)
         except select name, type from ops.columns_of(target))
        union all
        (select name, null from ops.columns_of(
            coalesce(to_regclass(format('marts.%I', p_mart)), origin)) where name <> 'release_no'
         except select name, null from ops.columns_of(origin))
    ) then
        return false;
    end if;
    -- Readers wait while a column is added; this transaction does nothing else, and gives up
    -- rather than let them queue behind a long query.
    perform ops.drop_views(p_mart);
    for change in
        select o.name, o.type, t.type as old_type
        from ops.columns_of(origin) as o
        left join ops.columns_of(target) as t using (name)
        where t.type is distinct from o.type
    loop
        if change.old_type is null then
            execute format(
                'alter table history.%I add column %I %s', p_mart, change.name, change.type
            );
            continue;
        end if;
        execute format(
            'select exists (select from history.%1$I where %2$I::text is distinct from %2$I::%3$s::text)',
            p_mart, change.name, change.type
        ) into differs;
        if differs then
            raise exception 'column % of mart % can''t become %: published values would change',
                change.name, p_mart, change.type
                using errcode = 'PY409', detail = format('history.%I', p_mart),
                hint = 'publish the new form under a new column name; the old one stays readable';
        end if;
        execute format(
            'alter table history.%1$I alter column %2$I type %3$s using %2$I::%3$s',
            p_mart, change.name, change.type
        );
    end loop;
    perform ops.protect_history(p_mart);
    if had_views then
        perform ops.create_views(p_mart);
    end if;
    return true;
end
$$;
comment on function ops.ensure_history(text) is
'Gives a mart its table in history, or the columns that it has gained; true when it did anything.';
