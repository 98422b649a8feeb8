-- What tells this database's log from any other's. The row comes along when a dump is restored elsewhere or a database
-- is copied, so that where it runs is looked at too: a cursor of before would name other events there. What a server
-- does not offer is left out.
create table log_origin (
  only_row boolean primary key default true check (only_row),
  id uuid not null default gen_random_uuid()
);
insert into log_origin default values;

do $$
declare
  part text;
  parts text := '(select id::text from log_origin)';
begin
  foreach part in array array[
    '(select oid::text from pg_database where datname = current_database())',
    '(select system_identifier::text from pg_control_system())',
    -- A server that was brought back to an earlier time, or a replica that took over, writes on another timeline.
    '(select left(pg_walfile_name(pg_current_wal_lsn()), 8))'
  ] loop
    begin
      execute 'select ' || part;
      parts := parts || ', ' || part;
    exception when others then
      null;
    end;
  end loop;
  execute format(
    'create function log_epoch() returns text language sql stable as %L',
    'select left(md5(concat_ws('' '', ' || parts || ')), 16)');
end
$$;

-- The last event of a contact. Those of conversations have an index already, and no place in this one.
create index events_contact on events (workspace_id, (payload ->> 'id'), seq) where conversation_id is null;
