-- The site that an event is of: its conversation's, or its contact's. Listeners of one site hear it by this.
alter table events add column site_id bigint;

update events e set site_id = c.site_id from conversations c where c.id = e.conversation_id;

update events e set site_id = s.id
  from sites s
 where e.type = 'contact.update' and s.workspace_id = e.workspace_id and s.public_id = e.payload ->> 'website_id';
