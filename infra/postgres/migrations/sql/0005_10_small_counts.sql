set local role payesh_owner;

-- A count of few people or firms tells of each of them. The warehouse declares such columns; the
-- views show null where the count is above zero and below the limit. So that it can't be had by
-- taking the others from a total, a second cell of the same group is withheld, the smallest other
-- one, where only one is small or the small ones together are below the limit. History keeps what
-- was computed.
alter table ops.mart add column suppress jsonb not null default '{}';
comment on column ops.mart.suppress is
'{"<column>": {"below": 5, "within": ["<grain columns whose cells add up to a total>"]}}';

create function ops.shown_column(p_mart text, p_column text) returns text
language plpgsql stable as $$
declare
    rule jsonb;
    grain text [];
    is_small text;
    cells text;
    type_name text;
begin
    select m.suppress -> p_column, m.grain into rule, grain from ops.mart as m where m.mart = p_mart;
    if rule is null then
        return quote_ident(p_column);
    end if;
    select c.type into type_name
    from ops.columns_of(to_regclass(format('history.%I', p_mart))) as c where c.name = p_column;
    is_small := format('(%1$I > 0 and %1$I < %2$s)', p_column, (rule ->> 'below')::integer);
    select coalesce('partition by ' || string_agg(quote_ident(name), ', ' order by place), '')
    into cells
    from jsonb_array_elements_text(rule -> 'within') with ordinality as part (name, place);
    return format(
        '(case when %1$s or (%2$I > 0
            and count(*) filter (where %1$s) over (%3$s) > 0
            and (
                count(*) filter (where %1$s) over (%3$s) = 1
                or sum(%2$I) filter (where %1$s) over (%3$s) < %4$s
            )
            and row_number() over (
                %3$s order by (%1$s or %2$I is null or %2$I <= 0), %2$I, %5$s
            ) = 1
        ) then null else %2$I end)::%6$s as %2$I',
        is_small, p_column, cells, (rule ->> 'below')::integer, ops.column_list(grain), type_name
    );
end
$$;
comment on function ops.shown_column(text, text) is
'How a view shows a column: by its name, or withheld where it counts few.';

create or replace function ops.create_views(p_mart text) returns void
language plpgsql as $$
declare
    wanted ops.mart;
    target record;
    list text;
begin
    select * into wanted from ops.mart where mart = p_mart;
    if wanted.is_restricted then
        return;
    end if;
    perform ops.make_views(p_mart);
    if wanted.suppress <> '{}' then
        for target in
            select 'marts' as schema_name, 'current_release' as release_of, 'release_to is null' as rows_of
            union all
            select 'marts_as_of', 'asked_release',
                'release_from <= (select ops.asked_release())
                and (release_to is null or release_to > (select ops.asked_release()))'
        loop
            select string_agg(ops.shown_column(p_mart, c.name), ', ' order by c.place) into list
            from ops.columns_of(
                to_regclass(format('%I.%I', target.schema_name, p_mart))
            ) with ordinality as c (name, type, place)
            where c.name <> 'release_no';
            execute format(
                'create or replace view %1$I.%2$I as
                select (select ops.%3$I()) as release_no, %4$s from history.%2$I where %5$s',
                target.schema_name, p_mart, target.release_of, list, target.rows_of
            );
        end loop;
    end if;
    execute format('alter view marts.%I owner to payesh_reader', p_mart);
    execute format('alter view marts_as_of.%I owner to payesh_reader', p_mart);
    if ops.scope_condition(p_mart) is not null then
        execute format(
            'grant select on marts.%1$I, marts_as_of.%1$I to payesh_bi_scoped', p_mart
        );
    end if;
end
$$;

-- what BI may open to its records: neither restricted marts nor those that withhold counts
create view ops.traced_mart as
select
    m.mart,
    m.grain
from ops.mart as m
where
    not m.is_retired and not m.is_restricted and m.suppress = '{}'
    and to_regclass(format('history.%I', m.mart)) is not null;

create or replace function ops.refresh_lineage() returns void
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
    from ops.traced_mart as m;
    if branches is null then
        drop view if exists marts.kpi_lineage;
        return;
    end if;
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

-- a declaration holds at once, also for what has been published before
create function ops.show_again() returns trigger
language plpgsql security definer set search_path = pg_catalog,
pg_temp set lock_timeout = '5s' as $$
begin
    if to_regclass(format('marts.%I', new.mart)) is not null then
        perform ops.drop_views(new.mart);
        perform ops.create_views(new.mart);
        perform ops.refresh_lineage();
    end if;
    return null;
end
$$;
create trigger shown_as_declared after update on ops.mart
for each row when (old.suppress is distinct from new.suppress)
execute function ops.show_again();

revoke execute on all functions in schema ops from public;
