set local role payesh_owner;

revoke execute on all functions in schema ops, restricted from public;

grant usage on schema history to payesh_reader;
-- views change hands when they are made
grant create, usage on schema marts, marts_as_of to payesh_reader;
grant usage on schema marts, marts_as_of to payesh_bi_scoped;

grant execute on function
ops.sees_all(), ops.seen_agencies(), ops.seen_provinces(), ops.seen_sources()
to payesh_bi, payesh_bi_scoped, payesh_transform, payesh_ingest, payesh_reader;
grant execute on function
ops.current_release(), ops.asked_release() to payesh_bi_scoped, payesh_reader;
-- the views hold part numbers of addresses
grant execute on function ops.part_no(text) to payesh_bi_scoped;

grant select on marts.release_history, marts.source_freshness, marts.data_quality_finding
to payesh_bi, payesh_bi_scoped, payesh_transform;

grant usage on schema restricted to payesh_restricted;
grant execute on function restricted.ask(text, text, integer), restricted.open(bigint)
to payesh_restricted;

-- what has been published before
do $$
declare
    one text;
begin
    for one in
        select m.mart from ops.mart as m
        where to_regclass(format('history.%I', m.mart)) is not null order by m.mart
    loop
        perform ops.protect_rows(one);
        if to_regclass(format('marts.%I', one)) is not null then
            perform ops.drop_views(one);
            perform ops.create_views(one);
        end if;
    end loop;
end
$$;
