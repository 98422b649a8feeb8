-- site_id: the one site that a pinned key opens, of its own workspace; the site cannot be removed meanwhile, for without
-- its pin the key would open more. version counts the changes of what the key opens.
alter table sites add unique (workspace_id, id);
alter table api_keys
  add column site_id bigint,
  add column version bigint not null default 1,
  add foreign key (workspace_id, site_id) references sites (workspace_id, id);

-- Here, so that no change goes unheard, also one made by hand: each is told in its own transaction.
create function tell_key_change() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    perform pg_notify('hubbub_keys', old.public_id);
    return old;
  end if;
  new.version := old.version;
  if (new.revoked_at, new.expires_at, new.site_id, new.scopes, new.user_id, new.workspace_id, new.hash)
     is distinct from
     (old.revoked_at, old.expires_at, old.site_id, old.scopes, old.user_id, old.workspace_id, old.hash) then
    new.version := old.version + 1;
    perform pg_notify('hubbub_keys', new.public_id);
  end if;
  return new;
end
$$;

create trigger api_keys_told before update or delete on api_keys for each row execute function tell_key_change();
