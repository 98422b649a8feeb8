alter table users
  add column availability text not null default 'online'
    check (availability in ('online', 'away', 'busy', 'offline'));

-- How the widget looks on a site.
alter table sites
  add column color text,
  add column position text not null default 'right' check (position in ('left', 'right')),
  add column size text not null default 'medium' check (size in ('small', 'medium', 'large')),
  add column language text not null default 'en',
  add column agent_name text,
  add column updated_at timestamptz(3) not null default clock_timestamp();

-- Where the visitor was when the conversation began.
alter table conversations add column url text;

-- What is to be woken, the next first.
create index conversations_snoozed on conversations (snoozed_until) where state = 'snoozed' and snoozed_until is not null;

-- What a message shows of its files, as it was sent; null: none.
alter table messages add column attachments json;

-- Whose a browser is changes when contacts are merged.
create index contact_sessions_contact on contact_sessions (contact_id);

-- Files: uploaded first, then sent with a message, in that order.
create table attachments (
  id bigint generated always as identity primary key,
  public_id text not null unique,
  workspace_id bigint not null references workspaces,
  -- Of a file that is not sent yet: how far whoever uploaded it reaches.
  site_id bigint references sites,
  -- Of a file that a visitor uploaded, and of one that was sent.
  conversation_id bigint references conversations,
  message_id bigint references messages,
  position integer,
  filename text not null,
  content_type text not null,
  size bigint not null,
  created_at timestamptz(3) not null default clock_timestamp(),
  check ((message_id is null) = (position is null))
);
create index attachments_message on attachments (message_id, position) where message_id is not null;
create index attachments_conversation on attachments (conversation_id) where conversation_id is not null;
create index attachments_unsent on attachments (created_at) where message_id is null;

create table attachment_chunks (
  attachment_id bigint not null references attachments on delete cascade,
  position integer not null,
  bytes bytea not null,
  primary key (attachment_id, position)
);
-- Most files are compressed already.
alter table attachment_chunks alter column bytes set storage external;

create table saved_replies (
  id bigint generated always as identity primary key,
  public_id text not null unique,
  workspace_id bigint not null references workspaces,
  shortcut text not null,
  title text not null,
  body text not null,
  created_at timestamptz(3) not null default clock_timestamp(),
  updated_at timestamptz(3) not null default clock_timestamp(),
  constraint saved_replies_shortcut unique (workspace_id, shortcut)
);

create table automation_rules (
  id bigint generated always as identity primary key,
  public_id text not null unique,
  workspace_id bigint not null references workspaces,
  name text not null,
  trigger text not null check (trigger in ('message.created', 'conversation.opened')),
  conditions json not null,
  actions json not null,
  active boolean not null default true,
  position integer not null,
  -- Events before it are not its.
  created_seq bigint not null,
  created_at timestamptz(3) not null default clock_timestamp(),
  updated_at timestamptz(3) not null default clock_timestamp()
);
create index automation_rules_order on automation_rules (workspace_id, position, id);

-- A rule acts once on an event: this row is written with its effect.
create table rule_runs (
  rule_id bigint not null references automation_rules on delete cascade,
  event_seq bigint not null,
  at timestamptz(3) not null default clock_timestamp(),
  primary key (rule_id, event_seq)
);
create index rule_runs_age on rule_runs (at);

-- How far each follower of the log has come in each workspace. What is behind the head is still to be done.
create table log_followers (
  workspace_id bigint not null references workspaces,
  follower text not null check (follower in ('webhooks', 'rules', 'summaries')),
  seq bigint not null default 0,
  primary key (follower, workspace_id)
);
insert into log_followers (workspace_id, follower, seq)
select h.workspace_id, f.name, h.seq
  from workspace_heads h cross join (values ('webhooks'), ('rules'), ('summaries')) f (name);

create table summaries (
  conversation_id bigint primary key references conversations,
  content text,
  bullets json,
  message_count integer,
  -- The conversation_seq of the newest message that it covers.
  last_seq bigint,
  model text,
  generated_at timestamptz(3),
  -- When one is to be made; null: there is nothing to do.
  due_at timestamptz(3),
  attempts integer not null default 0,
  lease_until timestamptz(3),
  check ((content is null) = (generated_at is null)),
  check (num_nulls(content, bullets, message_count, last_seq, model) in (0, 5))
);
create index summaries_due on summaries (due_at) where due_at is not null;

create table webhook_endpoints (
  id bigint generated always as identity primary key,
  public_id text not null unique,
  workspace_id bigint not null references workspaces,
  site_id bigint references sites,
  url text not null,
  events text[] not null check (cardinality(events) > 0),
  description text,
  secret text not null,
  -- The secret before, for as long as it signs beside the new one.
  old_secret text,
  old_secret_until timestamptz(3),
  enabled boolean not null default true,
  disabled_reason text check (disabled_reason in ('manual', 'gone', 'failing')),
  disabled_at timestamptz(3),
  -- Every attempt since then has failed.
  failing_since timestamptz(3),
  -- The head of the log when it was made, and when it was enabled last: events up to the one are not its, events up to
  -- the other it is told only when it asks for them.
  created_seq bigint not null,
  enabled_seq bigint not null,
  -- What is sent again: the events after one number, up to another, that are not older than that time.
  recover_after bigint,
  recover_until bigint,
  recover_since timestamptz(3),
  created_at timestamptz(3) not null default clock_timestamp(),
  updated_at timestamptz(3) not null default clock_timestamp(),
  -- It is gone for everyone: its deliveries are removed bit by bit, and then it is.
  deleted_at timestamptz(3),
  check (enabled = (disabled_reason is null)),
  check (enabled = (disabled_at is null)),
  check (deleted_at is null or not enabled),
  check ((old_secret is null) = (old_secret_until is null)),
  check (num_nulls(recover_after, recover_until, recover_since) in (0, 3))
);
create index webhook_endpoints_workspace on webhook_endpoints (workspace_id, id);
create index webhook_endpoints_recovering on webhook_endpoints (id) where recover_after is not null;
create index webhook_endpoints_deleted on webhook_endpoints (id) where deleted_at is not null;

create table webhook_deliveries (
  id bigint generated always as identity primary key,
  public_id text not null unique,
  endpoint_id bigint not null references webhook_endpoints,
  event_id text not null,
  event_type text not null,
  -- Null for a test.
  event_seq bigint,
  conversation_id bigint,
  -- Exactly what is sent; null where it must not be told any more.
  body text,
  state text not null default 'pending' check (state in ('pending', 'succeeded', 'failed', 'cancelled')),
  -- How many attempts have ended, in all and since it was queued for the last time.
  attempts integer not null default 0,
  tries integer not null default 0,
  next_attempt_at timestamptz(3) default clock_timestamp(),
  -- Until then an attempt is under way, and whoever makes it is the one who holds this very time. In no index, so that
  -- taking a delivery is a small write.
  lease_until timestamptz(3),
  created_at timestamptz(3) not null default clock_timestamp(),
  constraint webhook_deliveries_event unique (endpoint_id, event_id),
  check ((state = 'pending') = (next_attempt_at is not null))
) with (fillfactor = 70);
create index webhook_deliveries_of_endpoint on webhook_deliveries (endpoint_id, id);
-- The few that a list of those that failed would else be searched for.
create index webhook_deliveries_untold on webhook_deliveries (endpoint_id, id) where state <> 'succeeded';
-- What is to be sent: first attempts in the order of events, later ones when they are due.
create index webhook_deliveries_first on webhook_deliveries (endpoint_id, event_seq nulls first)
  where state = 'pending' and attempts = 0;
create index webhook_deliveries_again on webhook_deliveries (endpoint_id, next_attempt_at)
  where state = 'pending' and attempts > 0;
create index webhook_deliveries_conversation on webhook_deliveries (conversation_id) where conversation_id is not null;

create table webhook_attempts (
  id bigint generated always as identity primary key,
  delivery_id bigint not null references webhook_deliveries on delete cascade,
  at timestamptz(3) not null,
  duration_ms integer not null,
  status integer,
  failure text,
  message text,
  response text
);
create index webhook_attempts_delivery on webhook_attempts (delivery_id, id);

-- Work of several steps: its claim says until when it is taken to be running, and whose it is.
alter table idempotency_keys add column running_until timestamptz(3), add column runner uuid;
