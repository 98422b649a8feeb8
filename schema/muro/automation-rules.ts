/** Contracts of automation rules: when this happens and these conditions hold, do that. */

import { z } from 'zod'
import { publicId } from '../ids.ts'
import { boundedText, shortText } from '../text.ts'
import { caps, cursor, isAnyKnown, limit, shownTime } from './conventions.ts'
import { shownStatuses } from './conversations.ts'

export const ruleTriggers = ['message.created', 'conversation.opened'] as const
export const ruleFields = ['content', 'contact.email', 'contact.name', 'url', 'status', 'tags', 'website_id'] as const
export const ruleOperators = [
  'contains',
  'not_contains',
  'equals',
  'not_equals',
  'starts_with',
  'ends_with',
  'is_present',
] as const

const condition = z
  .object({
    field: z.enum(ruleFields),
    op: z.enum(ruleOperators),
    value: z.string().max(1000).optional().describe('Not for `is_present`. Upper and lower case are the same.'),
  })
  .refine(({ op, value }) => (op === 'is_present') === (value === undefined), {
    path: ['value'],
    message: 'is required, but for is_present, which takes none',
  })

const conditions = z.object({
  match: z.enum(['all', 'any']).default('all'),
  items: z.array(condition).max(20).describe('None: every event matches.'),
})

const action = z.discriminatedUnion('type', [
  z.object({ type: z.literal('add_tag'), value: shortText(caps.tag) }),
  z.object({ type: z.literal('assign'), user_id: publicId('user').nullable() }),
  z.object({ type: z.literal('set_status'), value: z.enum(shownStatuses) }),
  z.object({ type: z.literal('reply'), text: boundedText(caps.content, '32 KB') }),
])

export const automationRule = z
  .object({
    object: z.literal('automation_rule'),
    id: z.string(),
    name: z.string(),
    trigger: z.enum(ruleTriggers),
    conditions,
    actions: z.array(action),
    active: z.boolean(),
    position: z.int().describe('Rules run from the smallest to the largest.'),
    created_at: shownTime,
    updated_at: shownTime,
  })
  .meta({ id: 'AutomationRule' })

export const listAutomationRules = z.object({ cursor, limit })

export const createAutomationRule = z.object({
  name: shortText(200),
  trigger: z.enum(ruleTriggers),
  conditions: conditions.default({ match: 'all', items: [] }),
  actions: z.array(action).min(1).max(10),
  active: z.boolean().default(true),
  position: z.int().min(0).max(1_000_000).optional().describe('After all others where none is given.'),
})

export const updateAutomationRule = z
  .object({
    name: shortText(200),
    trigger: z.enum(ruleTriggers),
    conditions,
    actions: z.array(action).min(1).max(10),
    active: z.boolean(),
    position: z.int().min(0).max(1_000_000),
  })
  .partial()
  .refine(...isAnyKnown)

export type RuleCondition = z.infer<typeof condition>
export type RuleConditions = z.infer<typeof conditions>
export type RuleAction = z.infer<typeof action>
export type AutomationRule = z.infer<typeof automationRule>
export type CreateAutomationRule = z.infer<typeof createAutomationRule>
export type UpdateAutomationRule = z.infer<typeof updateAutomationRule>
