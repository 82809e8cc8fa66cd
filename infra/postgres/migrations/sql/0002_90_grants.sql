set local role payesh_owner;

-- A function is anybody's unless said otherwise; here nothing is.
alter default privileges for role payesh_owner revoke execute on functions from public;
revoke execute on all functions in schema ops, history from public;

grant select, insert, update on ops.mart to payesh_transform;
grant select on ops.mart, ops.load_in_release to payesh_transform, payesh_ingest;
grant delete on ops.build_load to payesh_transform;

grant execute on function
ops.current_release(),
ops.asked_release(),
ops.part_no(text),
ops.lineage_of(text, jsonb, text)
to payesh_bi, payesh_transform, payesh_ingest;

grant execute on function
ops.mart_columns(text),
ops.columns_of(regclass),
ops.ensure_history(text),
ops.publish(bigint, timestamptz, text),
ops.revert(integer, timestamptz, text),
ops.refuse(bigint, date, timestamptz, text, text),
ops.diff_mart(text, integer, integer),
ops.verify_release(integer),
ops.open_record(text, bigint, integer, text)
to payesh_transform;
