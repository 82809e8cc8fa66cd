set local role payesh_owner;

-- A mart's column may gain room (`numeric(12,6)` to `numeric(38,6)`) though published rows hold it.
create or replace function ops.ensure_history(p_mart text) returns boolean
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
    -- a column that a trigger or a policy names can't change its type; both are made again below,
    -- in this transaction, and without a policy nobody but the owner sees a row
    execute format('drop trigger if exists stands on history.%I', p_mart);
    execute format('drop policy if exists seen on history.%I', p_mart);
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
