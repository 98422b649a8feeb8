/** What triggers an automation rule, and whether its conditions hold: facts in, a decision out. */

import type { LoggedEvent } from '../../schema/events.ts'
import type { RuleCondition, RuleConditions, RuleTrigger } from '../../schema/muro/automation-rules.ts'

/** What conditions look at: the message that triggered the rule, and its conversation as it is now. */
export type SubjectFacts = Record<Exclude<RuleCondition['field'], 'tags'>, string | null> & { tags: string[] }

/** The same, made ready to be compared: the texts of each field. */
export type RuleSubject = Record<RuleCondition['field'], string[]>

/** Makes facts ready to be compared, once for all the conditions of all rules. What is not there is an empty text. */
export const subjectOf = ({ tags, ...facts }: SubjectFacts): RuleSubject => {
  const one = (text: string | null) => [folded(text ?? '')]
  return {
    content: one(facts.content),
    'contact.email': one(facts['contact.email']),
    'contact.name': one(facts['contact.name']),
    url: one(facts.url),
    status: one(facts.status),
    tags: tags.map(folded),
    website_id: one(facts.website_id),
  }
}

/**
 * Returns the trigger that an event is. Of messages only the visitor's are one, and no rule ever writes such a message
 * or opens a conversation: what a rule does can trigger none.
 */
export const triggerOf = ({ type, payload }: Pick<LoggedEvent, 'type' | 'payload'>): RuleTrigger | undefined => {
  if (type === 'conversation.opened') return 'conversation.opened'
  return type === 'message.new' && payload.sender_type === 'visitor' ? 'message.created' : undefined
}

/** Returns whether conditions hold; where there are none, they do. */
export const conditionsHold = ({ match, items }: RuleConditions, subject: RuleSubject): boolean => {
  if (items.length === 0) return true
  const holds = (condition: RuleCondition) => conditionHolds(condition, subject)
  return match === 'all' ? items.every(holds) : items.some(holds)
}

const conditionHolds = ({ field, op, value = '' }: RuleCondition, subject: RuleSubject): boolean => {
  const texts = subject[field]
  const sought = folded(value)
  switch (op) {
    case 'contains':
      return texts.some((text) => text.includes(sought))
    case 'not_contains':
      return !texts.some((text) => text.includes(sought))
    case 'equals':
      return texts.some((text) => text === sought)
    case 'not_equals':
      return !texts.some((text) => text === sought)
    case 'starts_with':
      return texts.some((text) => text.startsWith(sought))
    case 'ends_with':
      return texts.some((text) => text.endsWith(sought))
    case 'is_present':
      return texts.some((text) => text !== '')
  }
}

// Down and up again, so that all forms of a letter become one: ß and SS, the Greek sigmas, the Kelvin sign and k. Upper
// case last, since the lower case of a sigma depends on where in a word it stands. Composed, so that é is one letter
// however it was typed.
const folded = (text: string): string => text.toLowerCase().toUpperCase().normalize('NFC')
