set local role payesh_owner;

-- The lines behind many figures of one mart. A lineage view is long, and planning it costs more
-- than reading one figure through it: here it is planned once.
create function ops.lineage_lines_of(p_mart text, p_keys jsonb[]) returns table (
    figure_key jsonb, mart_column text, role text, kind text, field text, load_id bigint,
    record_no integer
)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set datestyle = 'ISO, YMD' set jit = off rows 2000 as $$
declare
    wanted ops.mart;
    condition text;
begin
    select * into wanted from ops.mart as m where m.mart = p_mart;
    if not found then
        raise exception 'there is no published mart %', p_mart using errcode = 'PY404';
    end if;
    if to_regclass(format('intermediate.%I', 'lineage_' || p_mart)) is null then
        if ops.is_building() then
            raise exception 'the lineage of mart % is being rebuilt', p_mart
                using errcode = 'PY409', hint = 'try again when the build has ended';
        end if;
        return;
    end if;
    select string_agg(
        format('l.%I = (k.figure_key ->> %L)::%s', c.name, c.name, c.type), ' and ' order by c.name
    ) into condition
    from ops.columns_of(to_regclass(format('history.%I', p_mart))) as c
    where c.name = any (wanted.grain);
    return query execute format(
        'select
            k.figure_key, l.mart_column::text, l.role::text, l.kind::text, l.field::text,
            l.load_id::bigint, l.record_no::integer
        from unnest($1) as k (figure_key)
        -- figure by figure: all of the view is far more than these
        cross join lateral (select l.* from intermediate.%I as l where %s offset 0) as l',
        'lineage_' || p_mart, condition
    ) using p_keys;
end
$$;
comment on function ops.lineage_lines_of(text, jsonb[]) is
'As ops.lineage_lines, of many figures of a mart by their whole keys.';

revoke execute on function ops.lineage_lines_of(text, jsonb[]) from public;
grant execute on function ops.lineage_lines_of(text, jsonb[]) to payesh_transform;
