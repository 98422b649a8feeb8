-- What the migrations make, dumped by test/core/schema.test.ts. Not run by anything.

create table api_keys (
  id bigint not null generated always as identity,
  public_id text not null,
  workspace_id bigint not null,
  user_id bigint not null,
  hash bytea not null,
  last4 text not null,
  scopes text[] not null,
  expires_at timestamp(3) with time zone,
  revoked_at timestamp(3) with time zone,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  site_id bigint,
  version bigint not null default 1,
  constraint api_keys_hash_key UNIQUE (hash),
  constraint api_keys_pkey PRIMARY KEY (id),
  constraint api_keys_public_id_key UNIQUE (public_id),
  constraint api_keys_scopes_check CHECK (((scopes <@ '{read,write}'::text[]) AND (cardinality(scopes) > 0))),
  constraint api_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id),
  constraint api_keys_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id),
  constraint api_keys_workspace_id_site_id_fkey FOREIGN KEY (workspace_id, site_id) REFERENCES sites(workspace_id, id)
);

create table attachment_chunks (
  attachment_id bigint not null,
  position integer not null,
  bytes bytea not null,
  constraint attachment_chunks_attachment_id_fkey FOREIGN KEY (attachment_id) REFERENCES attachments(id) ON DELETE CASCADE,
  constraint attachment_chunks_pkey PRIMARY KEY (attachment_id, "position")
);

create table attachments (
  id bigint not null generated always as identity,
  public_id text not null,
  workspace_id bigint not null,
  site_id bigint,
  conversation_id bigint,
  message_id bigint,
  position integer,
  filename text not null,
  content_type text not null,
  size bigint not null,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  constraint attachments_check CHECK (((message_id IS NULL) = ("position" IS NULL))),
  constraint attachments_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES conversations(id),
  constraint attachments_message_id_fkey FOREIGN KEY (message_id) REFERENCES messages(id),
  constraint attachments_pkey PRIMARY KEY (id),
  constraint attachments_public_id_key UNIQUE (public_id),
  constraint attachments_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites(id),
  constraint attachments_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id)
);

create table automation_rules (
  id bigint not null generated always as identity,
  public_id text not null,
  workspace_id bigint not null,
  name text not null,
  trigger text not null,
  conditions json not null,
  actions json not null,
  active boolean not null default true,
  position integer not null,
  created_seq bigint not null,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  updated_at timestamp(3) with time zone not null default clock_timestamp(),
  constraint automation_rules_pkey PRIMARY KEY (id),
  constraint automation_rules_public_id_key UNIQUE (public_id),
  constraint automation_rules_trigger_check CHECK ((trigger = ANY (ARRAY['message.created'::text, 'conversation.opened'::text]))),
  constraint automation_rules_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id)
);

create table contact_seen (
  contact_id bigint not null,
  workspace_id bigint not null,
  created_seq bigint not null,
  seq bigint not null,
  at timestamp(3) with time zone not null default clock_timestamp(),
  merged_seq bigint,
  constraint contact_seen_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES contacts(id),
  constraint contact_seen_pkey PRIMARY KEY (contact_id)
);

create table contact_sessions (
  site_id bigint not null,
  kind text not null,
  token_hash bytea not null,
  contact_id bigint not null,
  conversation_id bigint not null,
  name text not null,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  constraint contact_sessions_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES contacts(id),
  constraint contact_sessions_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES conversations(id) DEFERRABLE INITIALLY DEFERRED,
  constraint contact_sessions_kind_check CHECK ((kind = ANY (ARRAY['visitor_token'::text, 'conversation_token'::text]))),
  constraint contact_sessions_pkey PRIMARY KEY (site_id, token_hash),
  constraint contact_sessions_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites(id)
);

create table contacts (
  id bigint not null generated always as identity,
  public_id text not null,
  workspace_id bigint not null,
  site_id bigint not null,
  number bigint not null,
  name text,
  email text,
  metadata jsonb not null default '{}'::jsonb,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  updated_at timestamp(3) with time zone not null default clock_timestamp(),
  constraint contacts_email_check CHECK ((email = lower(email))),
  constraint contacts_pkey PRIMARY KEY (id),
  constraint contacts_public_id_key UNIQUE (public_id),
  constraint contacts_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites(id),
  constraint contacts_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id),
  constraint contacts_workspace_id_number_key UNIQUE (workspace_id, number)
);

create table conversation_activity (
  conversation_id bigint not null,
  workspace_id bigint not null,
  opened_seq bigint not null,
  seq bigint not null,
  closed boolean not null default false,
  constraint conversation_activity_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES conversations(id),
  constraint conversation_activity_pkey PRIMARY KEY (conversation_id)
);

create table conversations (
  id bigint not null generated always as identity,
  public_id text not null,
  uuid uuid not null default gen_random_uuid(),
  workspace_id bigint not null,
  number bigint not null,
  site_id bigint not null,
  contact_id bigint not null,
  state text not null default 'open'::text,
  snoozed_until timestamp(3) with time zone,
  priority text,
  assignee_id bigint,
  tags text[] not null default '{}'::text[],
  metadata jsonb not null default '{}'::jsonb,
  unread_count integer not null default 0,
  seq bigint not null default 0,
  public_seq bigint not null default 0,
  status_seq bigint not null default 0,
  last_message_at timestamp(3) with time zone,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  updated_at timestamp(3) with time zone not null default clock_timestamp(),
  url text,
  woken_seq bigint,
  moved_seq bigint,
  constraint conversations_assignee_id_fkey FOREIGN KEY (assignee_id) REFERENCES users(id),
  constraint conversations_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES contacts(id),
  constraint conversations_pkey PRIMARY KEY (id),
  constraint conversations_priority_check CHECK ((priority = ANY (ARRAY['low'::text, 'medium'::text, 'high'::text, 'urgent'::text]))),
  constraint conversations_public_id_key UNIQUE (public_id),
  constraint conversations_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites(id),
  constraint conversations_state_check CHECK ((state = ANY (ARRAY['open'::text, 'pending'::text, 'snoozed'::text, 'closed'::text]))),
  constraint conversations_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id),
  constraint conversations_workspace_id_number_key UNIQUE (workspace_id, number)
);

create table events (
  workspace_id bigint not null,
  seq bigint not null,
  public_id text not null,
  type text not null,
  conversation_id bigint,
  conversation_seq bigint,
  public_seq bigint,
  payload json not null,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  site_id bigint,
  constraint events_pkey PRIMARY KEY (workspace_id, seq)
);

create table idempotency_keys (
  owner text not null,
  route text not null,
  key text not null,
  fingerprint bytea not null,
  answer json,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  running_until timestamp(3) with time zone,
  runner uuid,
  constraint idempotency_keys_pkey PRIMARY KEY (owner, route, key)
);

create table log_followers (
  workspace_id bigint not null,
  follower text not null,
  seq bigint not null default 0,
  constraint log_followers_follower_check CHECK ((follower = ANY (ARRAY['webhooks'::text, 'rules'::text, 'summaries'::text]))),
  constraint log_followers_pkey PRIMARY KEY (follower, workspace_id),
  constraint log_followers_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id)
);

create table log_origin (
  only_row boolean not null default true,
  id uuid not null default gen_random_uuid(),
  constraint log_origin_only_row_check CHECK (only_row),
  constraint log_origin_pkey PRIMARY KEY (only_row)
);

create table messages (
  id bigint not null generated always as identity,
  public_id text not null,
  workspace_id bigint not null,
  conversation_id bigint not null,
  seq bigint not null,
  conversation_seq bigint not null,
  sender_type text not null,
  sender_id text,
  author text,
  content text not null,
  client_id text,
  created_at timestamp(3) with time zone not null,
  attachments json,
  constraint messages_conversation_id_conversation_seq_key UNIQUE (conversation_id, conversation_seq),
  constraint messages_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES conversations(id),
  constraint messages_pkey PRIMARY KEY (id),
  constraint messages_public_id_key UNIQUE (public_id),
  constraint messages_sender_type_check CHECK ((sender_type = ANY (ARRAY['visitor'::text, 'agent'::text, 'note'::text, 'system'::text])))
);

create table rule_runs (
  rule_id bigint not null,
  event_seq bigint not null,
  at timestamp(3) with time zone not null default clock_timestamp(),
  constraint rule_runs_pkey PRIMARY KEY (rule_id, event_seq),
  constraint rule_runs_rule_id_fkey FOREIGN KEY (rule_id) REFERENCES automation_rules(id) ON DELETE CASCADE
);

create table saved_replies (
  id bigint not null generated always as identity,
  public_id text not null,
  workspace_id bigint not null,
  shortcut text not null,
  title text not null,
  body text not null,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  updated_at timestamp(3) with time zone not null default clock_timestamp(),
  constraint saved_replies_pkey PRIMARY KEY (id),
  constraint saved_replies_public_id_key UNIQUE (public_id),
  constraint saved_replies_shortcut UNIQUE (workspace_id, shortcut),
  constraint saved_replies_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id)
);

create table schema_migrations (
  version integer not null,
  name text not null,
  checksum text not null,
  applied_at timestamp with time zone not null default clock_timestamp(),
  constraint schema_migrations_pkey PRIMARY KEY (version)
);

create table sites (
  id bigint not null generated always as identity,
  public_id text not null,
  widget_id text not null,
  workspace_id bigint not null,
  number bigint not null,
  name text not null,
  site_key text not null,
  origins text[] not null default '{}'::text[],
  greeting text,
  auto_reply text,
  active boolean not null default true,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  color text,
  position text not null default 'right'::text,
  size text not null default 'medium'::text,
  language text not null default 'en'::text,
  agent_name text,
  updated_at timestamp(3) with time zone not null default clock_timestamp(),
  constraint sites_pkey PRIMARY KEY (id),
  constraint sites_position_check CHECK (("position" = ANY (ARRAY['left'::text, 'right'::text]))),
  constraint sites_public_id_key UNIQUE (public_id),
  constraint sites_site_key_key UNIQUE (site_key),
  constraint sites_size_check CHECK ((size = ANY (ARRAY['small'::text, 'medium'::text, 'large'::text]))),
  constraint sites_widget_id_key UNIQUE (widget_id),
  constraint sites_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id),
  constraint sites_workspace_id_id_key UNIQUE (workspace_id, id),
  constraint sites_workspace_id_number_key UNIQUE (workspace_id, number)
);

create table summaries (
  conversation_id bigint not null,
  content text,
  bullets json,
  message_count integer,
  last_seq bigint,
  model text,
  generated_at timestamp(3) with time zone,
  due_at timestamp(3) with time zone,
  attempts integer not null default 0,
  lease_until timestamp(3) with time zone,
  constraint summaries_check CHECK (((content IS NULL) = (generated_at IS NULL))),
  constraint summaries_check1 CHECK ((num_nulls(content, bullets, message_count, last_seq, model) = ANY (ARRAY[0, 5]))),
  constraint summaries_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES conversations(id),
  constraint summaries_pkey PRIMARY KEY (conversation_id)
);

create table users (
  id bigint not null generated always as identity,
  public_id text not null,
  workspace_id bigint not null,
  number bigint not null,
  name text not null,
  email text not null,
  role text not null,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  availability text not null default 'online'::text,
  constraint users_availability_check CHECK ((availability = ANY (ARRAY['online'::text, 'away'::text, 'busy'::text, 'offline'::text]))),
  constraint users_email_check CHECK ((email = lower(email))),
  constraint users_pkey PRIMARY KEY (id),
  constraint users_public_id_key UNIQUE (public_id),
  constraint users_role_check CHECK ((role = ANY (ARRAY['admin'::text, 'agent'::text]))),
  constraint users_workspace_id_email_key UNIQUE (workspace_id, email),
  constraint users_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id),
  constraint users_workspace_id_number_key UNIQUE (workspace_id, number)
);

create table webhook_attempts (
  id bigint not null generated always as identity,
  delivery_id bigint not null,
  at timestamp(3) with time zone not null,
  duration_ms integer not null,
  status integer,
  failure text,
  message text,
  response text,
  constraint webhook_attempts_delivery_id_fkey FOREIGN KEY (delivery_id) REFERENCES webhook_deliveries(id) ON DELETE CASCADE,
  constraint webhook_attempts_pkey PRIMARY KEY (id)
);

create table webhook_deliveries (
  id bigint not null generated always as identity,
  public_id text not null,
  endpoint_id bigint not null,
  event_id text not null,
  event_type text not null,
  event_seq bigint,
  conversation_id bigint,
  body text,
  state text not null default 'pending'::text,
  attempts integer not null default 0,
  tries integer not null default 0,
  next_attempt_at timestamp(3) with time zone default clock_timestamp(),
  lease_until timestamp(3) with time zone,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  constraint webhook_deliveries_check CHECK (((state = 'pending'::text) = (next_attempt_at IS NOT NULL))),
  constraint webhook_deliveries_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoints(id),
  constraint webhook_deliveries_event UNIQUE (endpoint_id, event_id),
  constraint webhook_deliveries_pkey PRIMARY KEY (id),
  constraint webhook_deliveries_public_id_key UNIQUE (public_id),
  constraint webhook_deliveries_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text])))
);

create table webhook_endpoints (
  id bigint not null generated always as identity,
  public_id text not null,
  workspace_id bigint not null,
  site_id bigint,
  url text not null,
  events text[] not null,
  description text,
  secret text not null,
  old_secret text,
  old_secret_until timestamp(3) with time zone,
  enabled boolean not null default true,
  disabled_reason text,
  disabled_at timestamp(3) with time zone,
  failing_since timestamp(3) with time zone,
  created_seq bigint not null,
  enabled_seq bigint not null,
  recover_after bigint,
  recover_until bigint,
  recover_since timestamp(3) with time zone,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  updated_at timestamp(3) with time zone not null default clock_timestamp(),
  deleted_at timestamp(3) with time zone,
  constraint webhook_endpoints_check CHECK ((enabled = (disabled_reason IS NULL))),
  constraint webhook_endpoints_check1 CHECK ((enabled = (disabled_at IS NULL))),
  constraint webhook_endpoints_check2 CHECK (((deleted_at IS NULL) OR (NOT enabled))),
  constraint webhook_endpoints_check3 CHECK (((old_secret IS NULL) = (old_secret_until IS NULL))),
  constraint webhook_endpoints_check4 CHECK ((num_nulls(recover_after, recover_until, recover_since) = ANY (ARRAY[0, 3]))),
  constraint webhook_endpoints_disabled_reason_check CHECK ((disabled_reason = ANY (ARRAY['manual'::text, 'gone'::text, 'failing'::text]))),
  constraint webhook_endpoints_events_check CHECK ((cardinality(events) > 0)),
  constraint webhook_endpoints_pkey PRIMARY KEY (id),
  constraint webhook_endpoints_public_id_key UNIQUE (public_id),
  constraint webhook_endpoints_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites(id),
  constraint webhook_endpoints_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id)
);

create table workspace_counters (
  workspace_id bigint not null,
  kind text not null,
  value bigint not null default 0,
  constraint workspace_counters_kind_check CHECK ((kind = ANY (ARRAY['contact'::text, 'conversation'::text, 'site'::text, 'user'::text]))),
  constraint workspace_counters_pkey PRIMARY KEY (workspace_id, kind)
);

create table workspace_heads (
  workspace_id bigint not null,
  seq bigint not null default 0,
  constraint workspace_heads_pkey PRIMARY KEY (workspace_id)
);

create table workspaces (
  id bigint not null generated always as identity,
  public_id text not null,
  name text not null,
  created_at timestamp(3) with time zone not null default clock_timestamp(),
  constraint workspaces_pkey PRIMARY KEY (id),
  constraint workspaces_public_id_key UNIQUE (public_id)
);

CREATE INDEX attachments_conversation ON public.attachments USING btree (conversation_id) WHERE (conversation_id IS NOT NULL);
CREATE INDEX attachments_message ON public.attachments USING btree (message_id, "position") WHERE (message_id IS NOT NULL);
CREATE INDEX attachments_unsent ON public.attachments USING btree (created_at) WHERE (message_id IS NULL);
CREATE INDEX automation_rules_order ON public.automation_rules USING btree (workspace_id, "position", id);
CREATE INDEX contact_seen_merged ON public.contact_seen USING btree (workspace_id, merged_seq) WHERE (merged_seq IS NOT NULL);
CREATE INDEX contact_seen_newest ON public.contact_seen USING btree (workspace_id, seq DESC);
CREATE INDEX contact_sessions_contact ON public.contact_sessions USING btree (contact_id);
CREATE INDEX contact_sessions_conversation ON public.contact_sessions USING btree (conversation_id);
CREATE UNIQUE INDEX contacts_email ON public.contacts USING btree (workspace_id, email) WHERE (email IS NOT NULL);
CREATE INDEX contacts_search ON public.contacts USING gin (workspace_id, folded(name) gin_trgm_ops, folded(email) gin_trgm_ops);
CREATE INDEX conversation_activity_newest ON public.conversation_activity USING btree (workspace_id, seq DESC);
CREATE INDEX conversation_activity_newest_active ON public.conversation_activity USING btree (workspace_id, seq DESC) WHERE (NOT closed);
CREATE INDEX conversations_assignee ON public.conversations USING btree (assignee_id) WHERE (assignee_id IS NOT NULL);
CREATE INDEX conversations_contact ON public.conversations USING btree (contact_id);
CREATE INDEX conversations_snoozed ON public.conversations USING btree (snoozed_until) WHERE ((state = 'snoozed'::text) AND (snoozed_until IS NOT NULL));
CREATE INDEX conversations_tags ON public.conversations USING gin (workspace_id, tags) WITH (fastupdate=off) WHERE (tags <> '{}'::text[]);
CREATE INDEX events_contact ON public.events USING btree (workspace_id, ((payload ->> 'id'::text)), seq) WHERE (conversation_id IS NULL);
CREATE UNIQUE INDEX events_conversation ON public.events USING btree (conversation_id, conversation_seq) WHERE (conversation_id IS NOT NULL);
CREATE INDEX idempotency_keys_age ON public.idempotency_keys USING btree (created_at);
CREATE UNIQUE INDEX messages_client_id ON public.messages USING btree (conversation_id, client_id) WHERE (client_id IS NOT NULL);
CREATE INDEX messages_search ON public.messages USING gin (workspace_id, folded(content) gin_trgm_ops) WITH (gin_pending_list_limit='32768') WHERE (sender_type = ANY (ARRAY['visitor'::text, 'agent'::text]));
CREATE INDEX rule_runs_age ON public.rule_runs USING btree (at);
CREATE INDEX summaries_due ON public.summaries USING btree (due_at) WHERE (due_at IS NOT NULL);
CREATE INDEX webhook_attempts_delivery ON public.webhook_attempts USING btree (delivery_id, id);
CREATE INDEX webhook_deliveries_again ON public.webhook_deliveries USING btree (endpoint_id, next_attempt_at) WHERE ((state = 'pending'::text) AND (attempts > 0));
CREATE INDEX webhook_deliveries_conversation ON public.webhook_deliveries USING btree (conversation_id) WHERE (conversation_id IS NOT NULL);
CREATE INDEX webhook_deliveries_first ON public.webhook_deliveries USING btree (endpoint_id, event_seq NULLS FIRST) WHERE ((state = 'pending'::text) AND (attempts = 0));
CREATE INDEX webhook_deliveries_of_endpoint ON public.webhook_deliveries USING btree (endpoint_id, id);
CREATE INDEX webhook_deliveries_untold ON public.webhook_deliveries USING btree (endpoint_id, id) WHERE (state <> 'succeeded'::text);
CREATE INDEX webhook_endpoints_deleted ON public.webhook_endpoints USING btree (id) WHERE (deleted_at IS NOT NULL);
CREATE INDEX webhook_endpoints_recovering ON public.webhook_endpoints USING btree (id) WHERE (recover_after IS NOT NULL);
CREATE INDEX webhook_endpoints_workspace ON public.webhook_endpoints USING btree (workspace_id, id);

CREATE OR REPLACE FUNCTION public.folded(text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
RETURN lower(upper(($1 COLLATE pg_c_utf8)))
;
CREATE OR REPLACE FUNCTION public.log_epoch()
 RETURNS text
 LANGUAGE sql
 STABLE
AS $function$select left(md5(concat_ws(' ', (select id::text from log_origin), (select oid::text from pg_database where datname = current_database()), (select system_identifier::text from pg_control_system()), (select left(pg_walfile_name(pg_current_wal_lsn()), 8)))), 16)$function$
;
CREATE OR REPLACE FUNCTION public.tell_key_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
$function$
;

CREATE TRIGGER api_keys_told BEFORE DELETE OR UPDATE ON public.api_keys FOR EACH ROW EXECUTE FUNCTION tell_key_change();
