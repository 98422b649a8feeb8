create extension if not exists pg_trgm;
create extension if not exists btree_gin;

-- A text as searches compare it: case folded in every script, whatever locale the database has. Up and down again, so
-- that letters with two small forms, such as the Greek sigma, become one.
do $$
declare
  unicode name := (
    select collname from pg_collation
     where collnamespace = 'pg_catalog'::regnamespace and collencoding in (-1, pg_char_to_encoding(getdatabaseencoding()))
       and collname in ('pg_c_utf8', 'und-x-icu', 'C.utf8', 'C.UTF-8')
     order by array_position(array['pg_c_utf8', 'und-x-icu', 'C.utf8', 'C.UTF-8'], collname::text) limit 1);
begin
  execute format(
    'create function folded(text) returns text language sql immutable strict parallel safe return lower(upper($1 %s))',
    'collate pg_catalog.' || quote_ident(unicode));
end
$$;

-- What people said, by three letters each. The workspace stands in front: else a search of a small one reads through the
-- matches of all. New rows wait unsorted in a list that searches read through (1,000 rows: 1 ms) until it is sorted in,
-- which sortSearch does beside the appends; only a list that outgrows the limit is sorted by the append that finds it so.
create index messages_search on messages using gin (workspace_id, folded(content) gin_trgm_ops)
  with (gin_pending_list_limit = 32768)
  where sender_type in ('visitor', 'agent');

create index contacts_search on contacts using gin (workspace_id, folded(name) gin_trgm_ops, folded(email) gin_trgm_ops);
