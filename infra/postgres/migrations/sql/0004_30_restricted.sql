set local role payesh_owner;

-- Restricted data is read in two steps, each a statement of its own:
--     select restricted.ask('head_assessment', 'why I need it');   -- gives a number, and commits
--     select * from restricted.open(<number>);
-- The second gives rows only against a request that a finished transaction has left: who rolls
-- back after reading has been written down all the same.
create table restricted.request (
    request_no bigint generated always as identity primary key,
    login text not null,
    asked_at timestamptz not null,
    mart text not null,
    release_no integer not null,
    reason text not null check (length(btrim(reason)) >= 10),
    client_addr inet,
    made_by xid8 not null
);
comment on table restricted.request is
'Who asked for restricted data, when, for what reason. Written before anything is shown.';

create table restricted.reading (
    request_no bigint not null references restricted.request,
    read_at timestamptz not null,
    row_count bigint not null
);
comment on table restricted.reading is
'When a request was used, and how many rows it gave; a reader who rolls back leaves none.';

create trigger stands before update or delete or truncate on restricted.request
for each statement execute function history.refuse_change();
create trigger stands before update or delete or truncate on restricted.reading
for each statement execute function history.refuse_change();

create function restricted.ask(p_mart text, p_reason text, p_release integer default null)
returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    wanted integer := coalesce(p_release, ops.current_release());
    given bigint;
begin
    if not exists (
        select from ops.mart as m
        where m.mart = p_mart and m.is_restricted
        and to_regclass(format('history.%I', m.mart)) is not null
    ) then
        raise exception 'there is no restricted mart %', p_mart using errcode = 'PY404';
    end if;
    if not exists (select from history.release as r where r.release_no = wanted) then
        raise exception 'there is no release %', wanted using errcode = 'PY404';
    end if;
    if length(btrim(coalesce(p_reason, ''))) < 10 then
        raise exception 'a reason is needed'
            using errcode = 'PY409', hint = 'say in a few words what the data are needed for';
    end if;
    insert into restricted.request (
        login, asked_at, mart, release_no, reason, client_addr, made_by
    )
    values (
        session_user, clock_timestamp(), p_mart, wanted, btrim(p_reason), inet_client_addr(),
        pg_current_xact_id()
    )
    returning request_no into given;
    return given;
end
$$;
comment on function restricted.ask(text, text, integer) is
'Notes who wants to read which restricted mart and why; commit, then restricted.open(number).';

create function restricted.open(p_request bigint) returns setof jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set datestyle = 'ISO, YMD' as $$
declare
    asked restricted.request;
    shown bigint;
begin
    select * into asked from restricted.request as r
    where r.request_no = p_request and r.login = session_user;
    if not found then
        raise exception 'there is no request % of %', p_request, session_user
            using errcode = 'PY404', hint = 'ask first: select restricted.ask(mart, reason)';
    end if;
    if asked.made_by = pg_current_xact_id()
        or pg_xact_status(asked.made_by) is distinct from 'committed' then
        raise exception 'request % has not been committed', p_request
            using errcode = 'PY409', hint = 'commit, then open it';
    end if;
    if asked.asked_at < clock_timestamp() - interval '15 minutes' then
        raise exception 'request % is older than 15 minutes', p_request
            using errcode = 'PY409', hint = 'ask again';
    end if;
    return query execute format(
        'select to_jsonb(h) - ''release_from'' - ''release_to'' from history.%I as h
        where h.release_from <= $1 and (h.release_to is null or h.release_to > $1)', asked.mart
    ) using asked.release_no;
    get diagnostics shown = row_count;
    insert into restricted.reading (request_no, read_at, row_count)
    values (p_request, clock_timestamp(), shown);
end
$$;
comment on function restricted.open(bigint) is
'The rows of a request that was made within the last 15 minutes by this login, as jsonb.';
