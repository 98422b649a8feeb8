/** Contacts as tools. */

import { toolInputs, toolOutputs } from '../../../../schema/mcp.ts'
import { presentContact } from '../../../../schema/muro/presenters.ts'
import { listContacts, readContact } from '../../../domain/contacts.ts'
import { presentPage } from './pages.ts'
import { defineTool, reading } from './tool.ts'

export const listContactsTool = defineTool({
  name: 'list_contacts',
  title: 'List contacts',
  description:
    'Lists the contacts (the visitors), most recently seen first, each with name, email, metadata and how many conversations it has. Where has_more is true, call it again with next_cursor as cursor.',
  scope: 'read',
  hints: reading,
  input: toolInputs.list_contacts,
  output: toolOutputs.list_contacts,
  aliases: { site_id: 'website_id' },
  run: async ({ context, agent }, input) => presentPage(await listContacts(context, agent, input), presentContact),
})

export const getContactTool = defineTool({
  name: 'get_contact',
  title: 'Get a contact',
  description:
    'Reads one contact: name, email, the metadata that was synced from elsewhere, when it was last seen, and how many conversations it has. The id is the visitor.id of a conversation.',
  scope: 'read',
  hints: reading,
  input: toolInputs.get_contact,
  output: toolOutputs.get_contact,
  aliases: { id: 'contact_id', visitor_id: 'contact_id' },
  run: async ({ context, agent }, { contact_id: id }) => presentContact(await readContact(context, agent, id)),
})
