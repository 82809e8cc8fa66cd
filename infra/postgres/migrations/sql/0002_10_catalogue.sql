set local role payesh_owner;

-- ---------------------------------------------------------------- what is published
create table ops.mart (
    mart text primary key check (mart ~ '^[a-z][a-z0-9_]*$'),
    -- the columns that identify a row; never null
    grain text[] not null check (cardinality(grain) > 0),
    -- date column by which a build declares what it has rewritten; null = compared in full
    partition_by text,
    description text not null default '',
    -- {"<column>": "<how it is computed>"}
    columns jsonb not null default '{}',
    -- the warehouse does not build it any more: its rows end with the next release
    is_retired boolean not null default false,
    registered_at timestamptz not null default clock_timestamp()
);
comment on table ops.mart is
'The marts that a release holds, as the warehouse declares them: written before each publication.';

create index release_build on history.release (build_id);
-- a release's row carries the hashes of what is written before it in the same transaction
alter table history.release_mart
alter constraint release_mart_release_no_fkey deferrable initially deferred;
alter table history.release_load
alter constraint release_load_release_no_fkey deferrable initially deferred;

-- sources whose loads the raw gate held back from the build: they wait for the next night
alter table ops.build add column held_sources text[] not null default '{}';
-- what the build left standing, `schema.table`: when one is missing the next starts afresh
alter table ops.build add column relations text[] not null default '{}';

-- ---------------------------------------------------------------- published rows stand
create function history.refuse_change() returns trigger
language plpgsql as $$
begin
    raise exception 'a published row can''t be changed: % of %.%',
        lower(tg_op), tg_table_schema, tg_table_name
        using errcode = 'PY403',
        hint = 'publish again, or `payesh release revert N`; both add a release, none alters one';
end
$$;

create trigger stands before update or delete or truncate on history.release
for each statement execute function history.refuse_change();
create trigger stands before update or delete or truncate on history.release_load
for each statement execute function history.refuse_change();
create trigger stands before update or delete or truncate on history.release_mart
for each statement execute function history.refuse_change();
create trigger stands before update or delete or truncate on history.refusal
for each statement execute function history.refuse_change();

-- ---------------------------------------------------------------- which release is meant
create function ops.current_release() returns integer
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select max(release_no) from history.release
$$;
comment on function ops.current_release() is 'The newest release; null before the first.';

create function ops.asked_release() returns integer
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    asked text := nullif(current_setting('payesh.release', true), '');
    newest integer := ops.current_release();
begin
    if asked is null then
        return newest;
    end if;
    if asked !~ '^[0-9]{1,9}$' or asked::integer not between 1 and coalesce(newest, 0) then
        raise exception 'there is no release %', asked
            using errcode = 'PY404',
            hint = case
                when newest is null then 'nothing has been published yet'
                else format('set payesh.release to a number from 1 to %s', newest)
            end;
    end if;
    return asked::integer;
end
$$;
comment on function ops.asked_release() is
'The release of `set payesh.release = N`, or the newest; an unknown one is an error, never empty.';

create view ops.load_in_release as
select taken.load_id
from ops.build_load as taken
inner join ops.build as made on taken.build_id = made.build_id
where
    made.status = 'built'
    -- by build, not by release: a revert stands on the inputs of the release that it restores
    and taken.build_id <= (
        select release.build_id
        from history.release
        where release.release_no = (select ops.asked_release())
    );
comment on view ops.load_in_release is
'The loads that the asked release stands on (all before the first release).';
