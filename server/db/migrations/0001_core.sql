create table workspaces (
  id bigint generated always as identity primary key,
  public_id text not null unique,
  name text not null,
  created_at timestamptz(3) not null default clock_timestamp()
);

-- The number of the last event of each workspace. Every write ends by locking this row; no foreign key points at it,
-- so that no other lock ever waits in between.
create table workspace_heads (
  workspace_id bigint primary key,
  seq bigint not null default 0
);

-- The integers that a workspace shows outside: contact, conversation, site and user numbers.
create table workspace_counters (
  workspace_id bigint not null,
  kind text not null check (kind in ('contact', 'conversation', 'site', 'user')),
  value bigint not null default 0,
  primary key (workspace_id, kind)
);

create table users (
  id bigint generated always as identity primary key,
  public_id text not null unique,
  workspace_id bigint not null references workspaces,
  number bigint not null,
  name text not null,
  email text not null check (email = lower(email)),
  role text not null check (role in ('admin', 'agent')),
  created_at timestamptz(3) not null default clock_timestamp(),
  unique (workspace_id, email),
  unique (workspace_id, number)
);

create table api_keys (
  id bigint generated always as identity primary key,
  public_id text not null unique,
  workspace_id bigint not null references workspaces,
  user_id bigint not null references users,
  hash bytea not null unique,
  last4 text not null,
  scopes text[] not null check (scopes <@ '{read,write}' and cardinality(scopes) > 0),
  expires_at timestamptz(3),
  revoked_at timestamptz(3),
  created_at timestamptz(3) not null default clock_timestamp()
);

create table sites (
  id bigint generated always as identity primary key,
  public_id text not null unique,
  widget_id text not null unique,
  workspace_id bigint not null references workspaces,
  number bigint not null,
  name text not null,
  site_key text not null unique,
  origins text[] not null default '{}',
  greeting text,
  auto_reply text,
  active boolean not null default true,
  created_at timestamptz(3) not null default clock_timestamp(),
  unique (workspace_id, number)
);

create table contacts (
  id bigint generated always as identity primary key,
  public_id text not null unique,
  workspace_id bigint not null references workspaces,
  site_id bigint not null references sites,
  number bigint not null,
  name text,
  email text check (email = lower(email)),
  metadata jsonb not null default '{}',
  created_at timestamptz(3) not null default clock_timestamp(),
  updated_at timestamptz(3) not null default clock_timestamp(),
  unique (workspace_id, number)
);
create unique index contacts_email on contacts (workspace_id, email) where email is not null;

-- When a contact was last seen: created_seq and seq are numbers of the workspace's log, the event that made the contact
-- and the last one in which the visitor was seen. A table of its own, as conversation_activity is.
create table contact_seen (
  contact_id bigint primary key references contacts,
  workspace_id bigint not null,
  created_seq bigint not null,
  seq bigint not null,
  at timestamptz(3) not null default clock_timestamp()
);
create index contact_seen_newest on contact_seen (workspace_id, seq desc);

-- seq and public_seq are the conversation's own counters, of all its events and of those that the visitor hears;
-- status_seq is the number of its last event that changed the status.
create table conversations (
  id bigint generated always as identity primary key,
  public_id text not null unique,
  uuid uuid not null default gen_random_uuid(),
  workspace_id bigint not null references workspaces,
  number bigint not null,
  site_id bigint not null references sites,
  contact_id bigint not null references contacts,
  state text not null default 'open' check (state in ('open', 'pending', 'snoozed', 'closed')),
  snoozed_until timestamptz(3),
  priority text check (priority in ('low', 'medium', 'high', 'urgent')),
  assignee_id bigint references users,
  tags text[] not null default '{}',
  metadata jsonb not null default '{}',
  unread_count integer not null default 0,
  seq bigint not null default 0,
  public_seq bigint not null default 0,
  status_seq bigint not null default 0,
  last_message_at timestamptz(3),
  created_at timestamptz(3) not null default clock_timestamp(),
  updated_at timestamptz(3) not null default clock_timestamp(),
  unique (workspace_id, number)
) with (fillfactor = 70);
create index conversations_contact on conversations (contact_id);

-- Where a conversation stands in the inbox: opened_seq and seq are numbers of the workspace's log, of its opening and of
-- its last message. A table of its own, written only under the lock of the workspace's head: an append touches the
-- conversation's row once, before the head. Locking that row first and writing it after the head, in one statement,
-- deadlocked as soon as a foreign key shared the row. It also keeps the row's updates out of every index.
create table conversation_activity (
  conversation_id bigint primary key references conversations,
  workspace_id bigint not null,
  opened_seq bigint not null,
  seq bigint not null,
  closed boolean not null default false
);
create index conversation_activity_newest on conversation_activity (workspace_id, seq desc);
create index conversation_activity_newest_active on conversation_activity (workspace_id, seq desc) where not closed;

-- What a visitor's secrets open. A token names one conversation of its site. `name` is what the visitor gave: the
-- contact's may be another's, since anyone can type an address.
create table contact_sessions (
  site_id bigint not null references sites,
  kind text not null check (kind in ('visitor_token', 'conversation_token')),
  token_hash bytea not null,
  contact_id bigint not null references contacts,
  conversation_id bigint not null references conversations deferrable initially deferred,
  name text not null,
  created_at timestamptz(3) not null default clock_timestamp(),
  primary key (site_id, token_hash)
);
create index contact_sessions_conversation on contact_sessions (conversation_id);

create table messages (
  id bigint generated always as identity primary key,
  public_id text not null unique,
  workspace_id bigint not null,
  conversation_id bigint not null references conversations,
  seq bigint not null,
  conversation_seq bigint not null,
  sender_type text not null check (sender_type in ('visitor', 'agent', 'note', 'system')),
  sender_id text,
  author text,
  content text not null,
  client_id text,
  created_at timestamptz(3) not null,
  unique (conversation_id, conversation_seq)
);
create unique index messages_client_id on messages (conversation_id, client_id) where client_id is not null;

-- The log. seq is dense in its workspace, conversation_seq in its conversation, public_seq among what visitors hear.
create table events (
  workspace_id bigint not null,
  seq bigint not null,
  public_id text not null,
  type text not null,
  conversation_id bigint,
  conversation_seq bigint,
  public_seq bigint,
  payload json not null,
  created_at timestamptz(3) not null default clock_timestamp(),
  primary key (workspace_id, seq)
);
create unique index events_conversation on events (conversation_id, conversation_seq) where conversation_id is not null;

-- One row for each Idempotency-Key in use. `answer` is what the first request was answered.
create table idempotency_keys (
  owner text not null,
  route text not null,
  key text not null,
  fingerprint bytea not null,
  answer json,
  created_at timestamptz(3) not null default clock_timestamp(),
  primary key (owner, route, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);
