set local role payesh_owner;

-- National ids, telephone and account numbers, e-mail addresses: what a refused cell may hold of a
-- person is shown to nobody; raw keeps it. Digits count in all three scripts, also with bidi marks
-- between them and grouped by spaces, dashes or dots. Dates, times and numbers grouped by three
-- stay: they say what is wrong with a cell.
create function ops.masked(p_text text) returns text
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
    digit constant text := '[0-9۰-۹٠-٩]';
    mark constant text := '[\u00ad\u0640\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]';
    gap constant text := '[ \u00a0\u2007\u2009\u202f()._\u2010-\u2015\u2212-]';
    stated text;
    number text;
    mail text;
begin
    if p_text is null or (p_text !~ ('(' || digit || '[^0-9۰-۹٠-٩]*){10}') and p_text !~ '@') then
        return p_text;
    end if;
    stated := format(
        '(?:%1$s{4}%2$s*[-/.]%2$s*%1$s{1,2}%2$s*[-/.]%2$s*%1$s{1,2}(?!%1$s))'
        '|(?:%1$s{1,3}(?:[,٬،]%1$s{3})+(?!%1$s))', digit, mark
    );
    number := format('(?!%3$s)[+]?%1$s(?:%2$s*%4$s?%4$s?%2$s*%1$s){9,}', digit, mark, stated, gap);
    mail := format('[^\s@<>«»"''(),;:،]+%1$s*@%1$s*[^\s@<>«»"''(),;:،]+', mark);
    return (
        select string_agg(
            case when token[2] is null then coalesce(token[1], token[3]) else '…' end, ''
            order by place
        )
        from regexp_matches(
            p_text, format('(%s)|(%s|%s)|(.)', stated, number, mail), 'g'
        ) with ordinality as matched (token, place)
    );
end
$$;
comment on function ops.masked(text) is
'Text with national ids, telephone and account numbers and e-mail addresses left out (trap P12).';

-- which fields hold words of people: their texts are masked wherever they are shown
create function ops.shown_text(p_field text, p_text text) returns text
language sql immutable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
    select case
        when p_field in (
            'note', 'evidence', 'reason', 'title', 'service_title', 'revised_by', 'author',
            'decisions', 'activity'
        ) then ops.masked(p_text)
        else p_text
    end
$$;

revoke execute on function ops.masked(text), ops.shown_text(text, text) from public;
grant execute on function ops.masked(text), ops.shown_text(text, text)
to payesh_bi, payesh_bi_scoped, payesh_transform, payesh_ingest, payesh_reader;

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
            cell.mart_column, cell.role, cell.weight, cell.kind, cell.field,
            ops.shown_text(cell.field, cell.value) as value,
            cell.source, cell.file_name, cell.locator, cell.header,
            ops.shown_text(cell.field, cell.raw_text) as raw_text,
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

do $$
begin
    -- with the texts masked, also before the next publication
    if to_regclass('marts.kpi_lineage') is not null then
        drop view marts.kpi_lineage;
        perform ops.refresh_lineage();
    end if;
end
$$;
