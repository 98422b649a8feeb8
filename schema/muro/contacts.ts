/** Contracts of contacts, the visitors: reading, enriching, merging, and finding one by what its browser holds. */

import { z } from 'zod'
import { publicId } from '../ids.ts'
import { email, jsonObject, shortText } from '../text.ts'
import { cursor, isAnyKnown, limit, searched, shownTime } from './conventions.ts'

/** A contact as it is shown; to a key of one site, with that site and the conversations there. */
export const contact = z
  .object({
    object: z.literal('contact'),
    id: z.string(),
    website_id: z.string(),
    name: z.string().nullable(),
    email: z.string().nullable(),
    metadata: z.record(z.string(), z.unknown()),
    conversation_count: z.int(),
    last_seen_at: shownTime,
    created_at: shownTime,
    updated_at: shownTime,
  })
  .meta({ id: 'Contact' })

export const listContacts = z.object({
  website_id: publicId('site').optional(),
  q: searched.optional().describe('Occurs in the name or the email.'),
  email: email.optional().describe('Exactly this address.'),
  cursor,
  limit,
})

export const createContact = z.object({
  website_id: publicId('site').optional().describe('The oldest site where none is given.'),
  name: shortText(200).nullable().optional(),
  email: email.nullable().optional(),
  metadata: jsonObject.optional(),
})

export const updateContact = z
  .object({
    name: shortText(200).nullable().optional(),
    email: email.nullable().optional(),
    metadata: jsonObject.optional().describe('Merged one level deep; a key that comes with null is dropped.'),
  })
  .refine(...isAnyKnown)

export const mergeContacts = z.object({
  from: publicId('contact').describe('The contact that ends: its conversations, sessions and metadata move over.'),
})

export const lookUpContact = z.object({
  visitor_token: z.string().min(1).max(200).describe('A visitor or conversation token of the site chat.'),
  website_id: publicId('site').optional().describe('The site of the token; the oldest where none is given.'),
})

/** A contact that was looked up, with the conversation that its token opens. */
export const contactSession = z
  .object({ object: z.literal('contact_session'), contact, conversation_id: z.string() })
  .meta({ id: 'ContactSession' })

export type Contact = z.infer<typeof contact>
export type ListContacts = z.infer<typeof listContacts>
export type CreateContact = z.infer<typeof createContact>
export type UpdateContact = z.infer<typeof updateContact>
export type LookUpContact = z.infer<typeof lookUpContact>
