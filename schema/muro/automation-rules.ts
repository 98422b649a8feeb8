/** Contracts of automation rules: when this happens and these conditions hold, do that. */

import { z } from 'zod'
import { publicId } from '../ids.ts'
import { boundedText, isStorable, shortText } from '../text.ts'
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

/** How many rules a workspace may have. */
export const maxRules = 100

const maxConditions = 20
const maxActions = 10

// Nobody watches a rule at work: a key that is misspelt here is refused, not passed over.
const condition = z
  .strictObject({
    field: z
      .enum(ruleFields)
      .describe(
        '`content` is of the message that triggers the rule, or of the one that a conversation is opened with.',
      ),
    op: z.enum(ruleOperators),
    value: z
      .string()
      .max(1000)
      .refine(isStorable, 'must not contain NUL or broken Unicode')
      .optional()
      .describe('Not for `is_present`. Upper and lower case are the same.'),
  })
  .refine(({ op, value }) => (op === 'is_present') === (value === undefined), {
    path: ['value'],
    message: 'is required, but for is_present, which takes none',
  })
  .refine(({ op, value }) => value !== '' || op === 'equals' || op === 'not_equals', {
    path: ['value'],
    message: 'must not be empty but for equals and not_equals: every text contains an empty one',
  })

const conditions = z.strictObject({
  match: z.enum(['all', 'any']).default('all'),
  items: z.array(condition).max(maxConditions).describe('None: every event matches.'),
})

const plainAction = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('add_tag'), value: shortText(caps.tag) }),
    z.strictObject({
      type: z.literal('assign'),
      user_id: publicId('user').nullable().describe('A user of the workspace, or null for nobody.'),
    }),
    z.strictObject({
      type: z.literal('set_status'),
      value: z.enum(shownStatuses).describe('Taken under the name `status` too.'),
    }),
    z.strictObject({ type: z.literal('reply'), text: boundedText(caps.content, '32 KB') }),
  ],
  {
    error: ({ code }) => (code === 'invalid_union' ? 'must be add_tag, assign, set_status or reply' : undefined),
  },
)

// Whoever writes the one after the example of the others cannot know which name it has.
const spelled = (given: unknown): unknown => {
  if (typeof given !== 'object' || given === null || !('status' in given) || 'value' in given) return given
  const { status: value, ...rest } = given
  return 'type' in rest && rest.type === 'set_status' ? { ...rest, value } : given
}

const action = z.preprocess(spelled, plainAction)
const actions = z.array(action).min(1).max(maxActions)
const position = z.int().min(0).max(1_000_000)

export const automationRule = z
  .object({
    object: z.literal('automation_rule'),
    id: z.string(),
    name: z.string(),
    trigger: z.enum(ruleTriggers),
    conditions,
    actions,
    active: z.boolean(),
    position: z.int().describe('Rules run from the smallest to the largest; of two that are equal, the older first.'),
    created_at: shownTime,
    updated_at: shownTime,
  })
  .meta({ id: 'AutomationRule' })

export const listAutomationRules = z.object({ cursor, limit })

export const createAutomationRule = z.object({
  name: shortText(200),
  trigger: z.enum(ruleTriggers),
  conditions: conditions.default({ match: 'all', items: [] }),
  actions,
  active: z.boolean().default(true),
  position: position.optional().describe('After all others where none is given.'),
})

export const updateAutomationRule = z
  .object({
    name: shortText(200),
    trigger: z.enum(ruleTriggers),
    conditions,
    actions,
    active: z.boolean(),
    position,
  })
  .partial()
  .refine(...isAnyKnown)

export type RuleTrigger = (typeof ruleTriggers)[number]
export type RuleCondition = z.infer<typeof condition>
export type RuleConditions = z.infer<typeof conditions>
export type RuleAction = z.infer<typeof action>
export type AutomationRule = z.infer<typeof automationRule>
export type ListAutomationRules = z.infer<typeof listAutomationRules>
export type CreateAutomationRule = z.infer<typeof createAutomationRule>
export type UpdateAutomationRule = z.infer<typeof updateAutomationRule>
