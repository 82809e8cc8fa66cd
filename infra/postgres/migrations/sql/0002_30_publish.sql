set local role payesh_owner;

-- Publishing is a function of the owner's, not a script under the owner's role: whoever builds may
-- publish what a gate has passed, and can neither skip the gate nor touch a published row.

create function ops.same_key(p_columns text[], p_left text, p_right text) returns text
language sql immutable as $$
    select string_agg(format('%s.%I = %s.%I', p_left, name, p_right, name), ' and ')
    from unnest(p_columns) as name
$$;

create function ops.same_row(p_columns text[], p_left text, p_right text) returns text
language sql immutable as $$
    select format(
        '(%s) is not distinct from (%s)',
        string_agg(format('%s.%I', p_left, name), ', '),
        string_agg(format('%s.%I', p_right, name), ', ')
    )
    from unnest(p_columns) as name
$$;

create function ops.column_list(p_columns text[], p_alias text default null) returns text
language sql immutable as $$
    select string_agg(coalesce(p_alias || '.', '') || quote_ident(name), ', ' order by place)
    from unnest(p_columns) with ordinality as part (name, place)
$$;

-- What one mart's next release is: the rows of `p_origin` (an SQL relation with the mart's columns)
-- replace the current ones, within `p_touched` partitions only unless it is null.
create function ops.replace_rows(
    p_mart text, p_origin text, p_columns text[], p_touched date[], p_release integer
) returns table (rows_added bigint, rows_closed bigint, content_sha256 text, row_count bigint)
language plpgsql set work_mem = '256MB' as $$
declare
    wanted ops.mart;
    ever text [] := ops.mart_columns(p_mart);
    gone text [];
    within text := '';
    within_current text := '';
    added_lanes numeric [];
    closed_lanes numeric [];
    before history.release_mart;
begin
    select * into wanted from ops.mart where mart = p_mart;
    select array_agg(name) into gone from unnest(ever) as name where name <> all (p_columns);
    if p_touched is not null then
        within := format('and o.%I = any ($1)', wanted.partition_by);
        within_current := format('and h.%I = any ($1)', wanted.partition_by);
    end if;
    execute format(
        'with rows_in as (
            update history.%1$I as h set release_to = %2$s
            where h.release_to is null %3$s
            and not exists (
                select from %4$s as o where %5$s %6$s and %7$s %8$s
            )
            returning h.*
        )
        select %9$s',
        p_mart, p_release, within_current, p_origin, ops.same_key(wanted.grain, 'o', 'h'), within,
        ops.same_row(p_columns, 'o', 'h'),
        coalesce((
            select string_agg(format('and h.%I is null', name), ' ') from unnest(gone) as name
        ), ''),
        ops.lane_sums(ever)
    ) into rows_closed, closed_lanes using p_touched;
    -- what is still current under the same key is the same row
    execute format(
        'with rows_in as (
            insert into history.%1$I (%2$s, release_from)
            select %3$s, %4$s from %5$s as o
            where true %6$s
            and not exists (
                select from history.%1$I as h where h.release_to is null and %7$s %8$s
            )
            returning *
        )
        select %9$s',
        p_mart, ops.column_list(p_columns), ops.column_list(p_columns, 'o'), p_release, p_origin,
        within, ops.same_key(wanted.grain, 'o', 'h'), within_current, ops.lane_sums(ever)
    ) into rows_added, added_lanes using p_touched;
    select * into before from history.release_mart as m
    where m.mart = p_mart order by m.release_no desc limit 1;
    content_sha256 := ops.lane_hash(before.content_sha256, added_lanes, closed_lanes);
    row_count := coalesce(before.row_count, 0) + rows_added - rows_closed;
    return next;
end
$$;

create function ops.release_content_hash(p_release integer) returns text
language sql stable as $$
    select encode(sha256(convert_to(coalesce(string_agg(
        mart || '|' || row_count || '|' || content_sha256, e'\n' order by mart collate "C"
    ), ''), 'UTF8')), 'hex')
    from history.release_mart where release_no = p_release and row_count > 0
$$;
comment on function ops.release_content_hash(integer) is
'The hash of a release: of its marts'' names, row counts and hashes; empty ones leave no trace.';

create function ops.release_inputs_hash(p_release integer) returns text
language sql stable as $$
    select encode(sha256(convert_to(
        coalesce((
            select r.inputs_sha256 from history.release as r
            where r.release_no < p_release order by r.release_no desc limit 1
        ), '') || coalesce((
            select string_agg(
                l.load_id || '|' || s.sha256 || '|' || coalesce(l.content_sha256, ''), e'\n'
                order by l.load_id
            )
            from history.release_load as r
            inner join raw.load as l on r.load_id = l.load_id
            inner join raw.snapshot as s on l.snapshot_id = s.snapshot_id
            where r.release_no = p_release
        ), ''), 'UTF8'
    )), 'hex')
$$;
comment on function ops.release_inputs_hash(integer) is
'Chain: the hash of the release before, and of the bytes and content of each load since.';

create function ops.coverage_of_week(p_week date) returns jsonb
language plpgsql stable as $$
declare
    found jsonb;
begin
    if to_regclass('build.agency_reporting_weekly') is null then
        return '{}';
    end if;
    execute
        'select jsonb_build_object(
            ''reports_expected'', coalesce(sum(expected), 0),
            ''reports_received'', coalesce(sum(received) filter (where expected = 1), 0),
            ''agencies_expected'', count(distinct agency_code) filter (where expected = 1),
            ''agencies_received'',
            count(distinct agency_code) filter (where expected = 1 and received = 1)
        )
        from build.agency_reporting_weekly where period_kind = ''week'' and period_start = $1'
    into found using p_week;
    return found;
end
$$;

create function ops.refuse(
    p_build_id bigint, p_as_of_week date, p_at timestamptz, p_code text, p_reason text
) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into history.refusal (
        build_id, as_of_week, refused_at, reason_code, reason, standing_release
    )
    select p_build_id, p_as_of_week, p_at, p_code, p_reason, ops.current_release()
    where not exists (
        select from history.refusal as r where r.build_id = p_build_id and r.reason_code = p_code
    )
    returning refusal_id
$$;
comment on function ops.refuse(bigint, date, timestamptz, text, text) is
'Notes a build that is not published, and why, once for each cause.';

create function ops.publication_lock() returns void
language sql as $$ select pg_advisory_xact_lock(7291430155003) $$;

create function ops.publish(p_build_id bigint, p_at timestamptz, p_note text default null)
returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, YMD'
set extra_float_digits = 1 set intervalstyle = 'iso_8601' as $$
declare
    made ops.build;
    standing history.release;
    next_no integer;
    wanted ops.mart;
    touched date [];
    is_whole boolean;
    judged text;
    reasons text;
    inputs integer;
    changed bigint := 0;
    outcome record;
    per_mart jsonb := '{}';
    mart_columns text [];
begin
    perform ops.publication_lock();
    -- what is compared must hold still: the lock that dbt holds while it works
    if not pg_try_advisory_xact_lock(7291430155002) then
        raise exception 'a build is at work'
            using errcode = 'PY409', hint = 'publish when it has ended';
    end if;
    select * into made from ops.build where build_id = p_build_id;
    if not found then
        raise exception 'there is no build %', p_build_id
            using errcode = 'PY404', hint = 'see ops.build';
    end if;
    if made.status <> 'built' then
        raise exception 'build % is %, not built', p_build_id, made.status
            using errcode = 'PY409', hint = 'run the night again; its loads are taken again';
    end if;
    if exists (select from ops.build where build_id > p_build_id) then
        raise exception 'build % has been overtaken by a later one', p_build_id
            using errcode = 'PY409',
            hint = 'publish the latest build, or run the night again if it failed';
    end if;
    if not exists (
        select from quality.gate where build_id = p_build_id and stage = 'marts'
    ) then
        raise exception 'build % has not been judged', p_build_id
            using errcode = 'PY409', hint = 'run the marts gate; nothing is published without it';
    end if;
    -- the last judgement of each stage counts
    select case when bool_or(verdict = 'fail') then 'fail' when bool_or(verdict = 'warn') then 'warn'
        else 'pass' end
    into judged
    from (
        select distinct on (stage) stage, verdict from quality.gate
        where build_id = p_build_id order by stage, gate_id desc
    ) as last_gates;
    if judged = 'fail' then
        select string_agg(r.message, '; ' order by r.gate_id, r.result_no) into reasons
        from quality.result as r
        where r.gate_id in (
            select max(gate_id) from quality.gate
            where build_id = p_build_id group by stage
        ) and not r.is_success and r.severity = 'fail';
        perform ops.refuse(
            p_build_id, made.as_of_week, p_at, 'gate-failed', coalesce(reasons, 'a gate has failed')
        );
        return jsonb_build_object(
            'outcome', 'refused', 'release_no', ops.current_release(), 'reason', reasons
        );
    end if;

    select * into standing from history.release order by release_no desc limit 1;
    next_no := coalesce(standing.release_no, 0) + 1;
    for wanted in select * from ops.mart order by mart collate "C"
    loop
        if wanted.is_retired and to_regclass(format('history.%I', wanted.mart)) is null then
            continue;
        end if;
        if wanted.is_retired then
            mart_columns := ops.mart_columns(wanted.mart);
            touched := null;
        else
            perform ops.ensure_history(wanted.mart);
            if to_regclass(format('marts.%I', wanted.mart)) is null then
                perform ops.create_views(wanted.mart);
            end if;
            select array_agg(name) into mart_columns
            from ops.columns_of(to_regclass(format('build.%I', wanted.mart)));
            -- by build, whatever became of it: a failed build may have rewritten partitions too
            select
                array_agg(distinct t.partition_start) filter (where t.partition_start is not null),
                coalesce(bool_or(t.partition_start is null), false)
            into touched, is_whole
            from ops.touched_partition as t
            where t.mart = wanted.mart and t.build_id > standing.build_id;
            if is_whole
                or wanted.partition_by is null
                or standing.release_no is null
                or not exists (
                    select from history.release_mart as m
                    where m.mart = wanted.mart and m.release_no = standing.release_no
                )
                or exists (
                    select from ops.build as b
                    where b.build_id > standing.build_id and b.is_full_refresh
                ) then
                touched := null;
            else
                touched := coalesce(touched, '{}');
            end if;
        end if;
        select * into outcome from ops.replace_rows(
            wanted.mart,
            case when wanted.is_retired
                then format('(select %s from history.%I where false)',
                    ops.column_list(mart_columns), wanted.mart)
                else format('build.%I', wanted.mart) end,
            mart_columns, touched, next_no
        );
        per_mart := per_mart || jsonb_build_object(wanted.mart, to_jsonb(outcome));
        changed := changed + outcome.rows_added + outcome.rows_closed;
    end loop;
    if per_mart = '{}' then
        raise exception 'no mart is registered'
            using errcode = 'PY409', hint = 'build the warehouse first';
    end if;
    if changed = 0 and standing.release_no is not null then
        return jsonb_build_object('outcome', 'unchanged', 'release_no', standing.release_no);
    end if;

    -- what the hashes are made of first (its foreign key is checked at the end): a published row
    -- is never updated, not even here
    insert into history.release_mart (
        release_no, mart, row_count, rows_added, rows_closed, content_sha256
    )
    select
        next_no, per.key, (per.value ->> 'row_count')::bigint,
        (per.value ->> 'rows_added')::bigint, (per.value ->> 'rows_closed')::bigint,
        per.value ->> 'content_sha256'
    from jsonb_each(per_mart) as per;
    insert into history.release_load (release_no, load_id)
    select next_no, taken.load_id
    from ops.build_load as taken
    inner join ops.build as b on taken.build_id = b.build_id
    where b.status = 'built' and b.build_id > coalesce(standing.build_id, 0)
    and b.build_id <= p_build_id
    group by taken.load_id;
    get diagnostics inputs = row_count;
    insert into history.release (
        release_no, build_id, as_of_week, published_at, kind, gate_verdict, changed_rows, coverage,
        content_sha256, inputs_sha256, code_sha256, reference_sha256, note
    )
    values (
        next_no, p_build_id, made.as_of_week, p_at, 'publish', judged, changed,
        ops.coverage_of_week(made.as_of_week), ops.release_content_hash(next_no),
        ops.release_inputs_hash(next_no), made.code_sha256, made.reference_sha256, p_note
    );
    perform ops.refresh_lineage();
    return jsonb_build_object(
        'outcome', 'published', 'release_no', next_no, 'changed_rows', changed, 'loads', inputs,
        'gate', judged, 'marts', per_mart
    );
end
$$;
comment on function ops.publish(bigint, timestamptz, text) is
'Publishes a build that its gate has passed, all marts at once; notes a refusal of the gate.';

-- ---------------------------------------------------------------- reading releases
create function ops.diff_mart(p_mart text, p_from integer, p_to integer)
returns table (figure_key jsonb, old_row jsonb, new_row jsonb)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, YMD' as $$
declare
    grain text [] := (select m.grain from ops.mart as m where m.mart = p_mart);
    ever text [];
begin
    if grain is null or to_regclass(format('history.%I', p_mart)) is null then
        raise exception 'there is no published mart %', p_mart using errcode = 'PY404';
    end if;
    ever := ops.mart_columns(p_mart);
    return query execute format(
        'with moved as (
            select * from history.%1$I as h
            where (h.release_from > $1 and h.release_from <= $2)
            or (h.release_to > $1 and h.release_to <= $2)
        ),
        low as (
            select * from moved
            where release_from <= $1 and (release_to is null or release_to > $1)
        ),
        high as (
            select * from moved
            where release_from <= $2 and (release_to is null or release_to > $2)
        )
        select
            jsonb_build_object(%2$s),
            case when l.release_from is not null
                then to_jsonb(l) - ''release_from'' - ''release_to'' end,
            case when h.release_from is not null
                then to_jsonb(h) - ''release_from'' - ''release_to'' end
        from low as l full join high as h on %3$s
        where l.release_from is null or h.release_from is null or not %4$s
        order by %5$s',
        p_mart,
        (select string_agg(format('%1$L, coalesce(l.%1$I, h.%1$I)', name), ', ' order by place)
         from unnest(grain) with ordinality as part (name, place)),
        ops.same_key(grain, 'l', 'h'), ops.same_row(ever, 'l', 'h'),
        (select string_agg(format('coalesce(l.%1$I, h.%1$I)', name), ', ' order by place)
         from unnest(grain) with ordinality as part (name, place))
    ) using least(p_from, p_to), greatest(p_from, p_to);
end
$$;
comment on function ops.diff_mart(text, integer, integer) is
'Rows that differ between two releases: old_row as of the lower, new_row as of the higher number.';

create function ops.verify_release(p_release integer)
returns table (
    item text,
    is_intact boolean,
    stored text,
    recomputed text,
    stored_rows bigint,
    rows_found bigint
)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, YMD'
set extra_float_digits = 1 set intervalstyle = 'iso_8601' as $$
declare
    one history.release_mart;
    release history.release;
    lanes numeric [];
begin
    select * into release from history.release as r where r.release_no = p_release;
    if not found then
        raise exception 'there is no release %', p_release
            using errcode = 'PY404', hint = 'see `payesh release list`';
    end if;
    for one in
        select * from history.release_mart as m
        where m.release_no = p_release order by m.mart collate "C"
    loop
        execute format(
            'with rows_in as (
                select * from history.%1$I
                where release_from <= $1 and (release_to is null or release_to > $1)
            )
            select %2$s', one.mart, ops.lane_sums(ops.mart_columns(one.mart))
        ) into rows_found, lanes using p_release;
        item := one.mart;
        stored := one.content_sha256;
        stored_rows := one.row_count;
        recomputed := ops.lane_hash(null, lanes, array [0, 0, 0, 0]);
        is_intact := recomputed = stored and rows_found = stored_rows;
        return next;
    end loop;
    rows_found := null;
    stored_rows := null;
    item := 'release';
    stored := release.content_sha256;
    recomputed := ops.release_content_hash(p_release);
    is_intact := recomputed = stored;
    return next;
    item := 'inputs';
    stored := release.inputs_sha256;
    recomputed := case when release.kind = 'revert'
        then (select r.inputs_sha256 from history.release as r
              where r.release_no = release.reverts_to)
        else ops.release_inputs_hash(p_release) end;
    is_intact := recomputed = stored;
    return next;
end
$$;
comment on function ops.verify_release(integer) is
'Recomputes the hashes of a release from its rows and inputs and holds them against those stored.';

-- ---------------------------------------------------------------- going back
create function ops.revert(p_release integer, p_at timestamptz, p_note text default null)
returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, YMD'
set extra_float_digits = 1 set intervalstyle = 'iso_8601' as $$
declare
    target history.release;
    standing history.release;
    next_no integer;
    wanted record;
    outcome record;
    damaged record;
    expected history.release_mart;
    per_mart jsonb := '{}';
    changed bigint := 0;
    mart_columns text [];
begin
    perform ops.publication_lock();
    select * into standing from history.release order by release_no desc limit 1;
    select * into target from history.release where release_no = p_release;
    if not found then
        raise exception 'there is no release %', p_release
            using errcode = 'PY404', hint = 'see `payesh release list`';
    end if;
    if target.content_sha256 = standing.content_sha256 then
        return jsonb_build_object('outcome', 'unchanged', 'release_no', standing.release_no);
    end if;
    -- what is published again must be what was published: hashes that are carried on from release
    -- to release can't see a row that was altered behind their back
    for damaged in select v.item from ops.verify_release(p_release) as v where not v.is_intact
    loop
        raise exception '% of release % is not what was published: its hash differs',
            damaged.item, p_release
            using errcode = 'PY500', hint = format('see `payesh release verify %s`', p_release);
    end loop;
    next_no := standing.release_no + 1;
    for wanted in
        select distinct mart from history.release_mart where release_no = standing.release_no
    loop
        mart_columns := ops.mart_columns(wanted.mart);
        select * into outcome from ops.replace_rows(
            wanted.mart,
            format(
                '(select %1$s from history.%2$I where release_from <= %3$s
                  and (release_to is null or release_to > %3$s))',
                ops.column_list(mart_columns), wanted.mart, p_release
            ),
            mart_columns, null, next_no
        );
        select * into expected from history.release_mart
        where mart = wanted.mart and release_no = p_release;
        if outcome.content_sha256 is distinct from coalesce(expected.content_sha256, repeat('0', 64))
        then
            raise exception 'mart % did not come back to release %', wanted.mart, p_release
                using errcode = 'PY500', hint = 'verify the standing release: `payesh release verify`';
        end if;
        per_mart := per_mart || jsonb_build_object(wanted.mart, to_jsonb(outcome));
        changed := changed + outcome.rows_added + outcome.rows_closed;
    end loop;
    insert into history.release_mart (
        release_no, mart, row_count, rows_added, rows_closed, content_sha256
    )
    select
        next_no, per.key, (per.value ->> 'row_count')::bigint,
        (per.value ->> 'rows_added')::bigint, (per.value ->> 'rows_closed')::bigint,
        per.value ->> 'content_sha256'
    from jsonb_each(per_mart) as per;
    insert into history.release (
        release_no, build_id, as_of_week, published_at, kind, reverts_to, gate_verdict,
        changed_rows, coverage, content_sha256, inputs_sha256, code_sha256, reference_sha256, note
    )
    values (
        next_no, target.build_id, target.as_of_week, p_at, 'revert', p_release,
        target.gate_verdict, changed, target.coverage, ops.release_content_hash(next_no),
        target.inputs_sha256, target.code_sha256, target.reference_sha256, p_note
    );
    return jsonb_build_object(
        'outcome', 'reverted', 'release_no', next_no, 'reverts_to', p_release,
        'changed_rows', changed, 'marts', per_mart
    );
end
$$;
comment on function ops.revert(integer, timestamptz, text) is
'Publishes the content of an earlier release again, under a new number.';
