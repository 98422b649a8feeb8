-- The number of the last event with which a visitor ended a snooze before its time.
alter table conversations add column woken_seq bigint;
