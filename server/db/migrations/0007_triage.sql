-- The number of the last event with which a visitor ended a snooze before its time.
alter table conversations add column woken_seq bigint;

-- The number of the last merge that gave a contact what another had, and of the one that gave a conversation to its
-- contact: whoever walks through the contacts since before then finds by them where the contact stood.
alter table contact_seen add column merged_seq bigint;
create index contact_seen_merged on contact_seen (workspace_id, merged_seq) where merged_seq is not null;
alter table conversations add column moved_seq bigint;

-- The few of a workspace that have a tag, or a user, among the many. Neither changes where something is said, so that
-- those updates of the row stay out of every index.
create index conversations_tags on conversations using gin (workspace_id, tags) with (fastupdate = off)
 where tags <> '{}';
create index conversations_assignee on conversations (assignee_id) where assignee_id is not null;
