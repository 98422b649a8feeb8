/** What the conditions of automation rules mean, and what triggers a rule at all. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loggedEventTypes } from '../../schema/events.ts'
import { senderTypes } from '../../schema/ids.ts'
import {
  type RuleCondition,
  type RuleConditions,
  ruleFields,
  ruleOperators,
} from '../../schema/muro/automation-rules.ts'
import { conditionsHold, type SubjectFacts, subjectOf, triggerOf } from '../../server/domain/rule-conditions.ts'

const someone: SubjectFacts = {
  content: 'I want a Refund, please',
  'contact.email': 'marie@example.com',
  'contact.name': 'Marie Ångström',
  url: 'https://shop.example/checkout?step=2',
  status: 'open',
  tags: ['VIP', 'billing'],
  website_id: 'web_shop1',
}

const holds = (condition: RuleCondition, subject: Partial<SubjectFacts> = {}) =>
  conditionsHold({ match: 'all', items: [condition] }, subjectOf({ ...someone, ...subject }))

describe('a condition', () => {
  const cases: [RuleCondition['field'], RuleCondition['op'], string | undefined, boolean][] = [
    ['content', 'contains', 'refund', true],
    ['content', 'contains', 'REFUND, P', true],
    ['content', 'contains', 'refunds', false],
    ['content', 'not_contains', 'invoice', true],
    ['content', 'not_contains', 'refund', false],
    ['content', 'equals', 'i want a refund, please', true],
    ['content', 'equals', 'refund', false],
    ['content', 'not_equals', 'refund', true],
    ['content', 'not_equals', 'I WANT A REFUND, PLEASE', false],
    ['content', 'starts_with', 'i want', true],
    ['content', 'starts_with', 'want', false],
    ['content', 'ends_with', 'PLEASE', true],
    ['content', 'ends_with', 'refund', false],
    ['content', 'is_present', undefined, true],
    ['contact.email', 'ends_with', '@EXAMPLE.com', true],
    ['contact.email', 'ends_with', '@example.org', false],
    ['contact.name', 'contains', 'ångström', true],
    ['contact.name', 'equals', 'marie', false],
    ['url', 'contains', '/checkout', true],
    ['url', 'starts_with', 'http://', false],
    ['status', 'equals', 'open', true],
    ['status', 'not_equals', 'closed', true],
    ['status', 'equals', 'closed', false],
    ['tags', 'equals', 'vip', true],
    ['tags', 'equals', 'bill', false],
    ['tags', 'contains', 'bill', true],
    ['tags', 'contains', 'vip,billing', false],
    ['tags', 'not_equals', 'billing', false],
    ['tags', 'not_equals', 'sales', true],
    ['tags', 'not_contains', 'ill', false],
    ['tags', 'not_contains', 'sale', true],
    ['tags', 'starts_with', 'v', true],
    ['tags', 'ends_with', 'ing', true],
    ['tags', 'is_present', undefined, true],
    ['website_id', 'equals', 'web_shop1', true],
    ['website_id', 'not_equals', 'web_shop1', false],
  ]
  it.each(cases)('%s %s %s: %s', (field, op, value, expected) => {
    expect(holds({ field, op, value })).toBe(expected)
  })

  it('is tested here for every field and every operator', () => {
    expect(new Set(cases.map(([field]) => field))).toEqual(new Set(ruleFields))
    expect(new Set(cases.map(([, op]) => op))).toEqual(new Set(ruleOperators))
  })

  it.each(ruleFields)('%s that is not there is not present and contains nothing', (field) => {
    const without = field === 'tags' ? { tags: [] } : { [field]: null }
    expect(holds({ field, op: 'is_present' }, without)).toBe(false)
    for (const op of ['contains', 'equals', 'starts_with', 'ends_with'] as const) {
      expect(holds({ field, op, value: 'x' }, without)).toBe(false)
    }
    for (const op of ['not_contains', 'not_equals'] as const)
      expect(holds({ field, op, value: 'x' }, without)).toBe(true)
    if (field !== 'tags') expect(holds({ field, op: 'equals', value: '' }, without)).toBe(true)
  })

  it('takes letters for the same in every script, however they were typed', () => {
    const same = [
      ['straße', 'STRASSE'],
      ['ΟΔΥΣΣΕΥΣ', 'οδυσσευς'],
      ['ПРИВЕТ', 'привет'],
      ['caf\u00e9', 'CAFE\u0301'],
      ['\u212alein', 'klein'],
      ['ﬁsh', 'FISH'],
    ] as const
    for (const [content, value] of same) {
      expect(holds({ field: 'content', op: 'equals', value }, { content })).toBe(true)
      expect(holds({ field: 'content', op: 'equals', value: content }, { content: value })).toBe(true)
    }
    expect(holds({ field: 'content', op: 'contains', value: 'οδυσσευσ' }, { content: 'Ο ΟΔΥΣΣΕΥΣ!' })).toBe(true)
    expect(holds({ field: 'content', op: 'equals', value: 'cafe' }, { content: 'café' })).toBe(false)
  })
})

describe('conditions', () => {
  const yes = { field: 'content', op: 'contains', value: 'refund' } as const
  const no = { field: 'content', op: 'contains', value: 'invoice' } as const
  const held = (match: RuleConditions['match'], ...items: RuleCondition[]) =>
    conditionsHold({ match, items }, subjectOf(someone))

  it('all must hold, or any of them', () => {
    expect([held('all', yes, yes), held('all', yes, no), held('all', no, no)]).toEqual([true, false, false])
    expect([held('any', yes, yes), held('any', yes, no), held('any', no, no)]).toEqual([true, true, false])
  })

  it('that are none always hold', () => {
    expect([held('all'), held('any')]).toEqual([true, true])
  })
})

describe('for whatever people write', () => {
  const text = fc.string({
    unit: fc.oneof(
      fc.constantFrom('a', 'A', 'ß', 'Σ', 'σ', 'ς', 'é', 'e\u0301'),
      fc.string({ unit: 'grapheme', maxLength: 1 }),
    ),
    maxLength: 8,
  })
  const subject: fc.Arbitrary<SubjectFacts> = fc.record({
    content: text,
    'contact.email': fc.option(text),
    'contact.name': fc.option(text),
    url: fc.option(text),
    status: fc.constantFrom('open', 'closed', 'snoozed'),
    tags: fc.array(text, { maxLength: 3 }),
    website_id: text,
  })
  const field = fc.constantFrom(...ruleFields)
  const law = (
    name: string,
    isSo: (at: (op: RuleCondition['op'], value?: string) => boolean, value: string) => boolean,
  ) =>
    it(name, () => {
      fc.assert(
        fc.property(subject, field, text, (given, asked, value) =>
          isSo((op, sought) => holds({ field: asked, op, value: sought }, given), value),
        ),
        { numRuns: 500 },
      )
    })

  law('not_contains is what contains is not', (at, value) => at('not_contains', value) !== at('contains', value))
  law('not_equals is what equals is not', (at, value) => at('not_equals', value) !== at('equals', value))
  law('what equals also starts and ends with it', (at, value) =>
    at('equals', value) ? at('starts_with', value) && at('ends_with', value) : true,
  )
  law('what starts or ends with it contains it', (at, value) =>
    at('starts_with', value) || at('ends_with', value) ? at('contains', value) : true,
  )
  law('what contains a text is present', (at, value) => (value && at('contains', value) ? at('is_present') : true))
  law('upper and lower case are the same', (at, value) =>
    ruleOperators.every((op) => at(op, value) === at(op, value.toLowerCase())),
  )

  it('a text contains each part of it, and so does a list of tags', () => {
    const parts = fc.tuple(text, text, text)
    fc.assert(
      fc.property(parts, fc.array(text), ([before, part, after], others) => {
        // Where letters are put together they may become another.
        fc.pre(`${before}${part}${after}`.normalize('NFC').includes(part.normalize('NFC')))
        const whole = `${before}${part}${after}`
        return (
          holds({ field: 'content', op: 'contains', value: part }, { content: whole }) &&
          holds({ field: 'tags', op: 'contains', value: part }, { tags: [...others, whole] })
        )
      }),
    )
  })

  it('any is all turned around: it fails where the opposite of each condition holds', () => {
    const opposites = {
      contains: 'not_contains',
      not_contains: 'contains',
      equals: 'not_equals',
      not_equals: 'equals',
    } as const
    const item = fc.record({
      field,
      op: fc.constantFrom('contains', 'not_contains', 'equals', 'not_equals'),
      value: text,
    })
    fc.assert(
      fc.property(subject, fc.array(item, { minLength: 1, maxLength: 5 }), (given, items) => {
        const turned = items.map((one) => ({ ...one, op: opposites[one.op] }))
        const seen = subjectOf(given)
        return conditionsHold({ match: 'any', items }, seen) !== conditionsHold({ match: 'all', items: turned }, seen)
      }),
    )
  })
})

describe('what triggers a rule', () => {
  it('a message of the visitor does, and so does a new conversation; nothing that staff, a rule or the system does', () => {
    const triggers = loggedEventTypes.flatMap((type) =>
      [undefined, ...senderTypes].map((sender_type) => [
        type,
        sender_type,
        triggerOf({ type, payload: { sender_type } }),
      ]),
    )
    expect(triggers.filter(([type, , trigger]) => trigger !== undefined && type !== 'conversation.opened')).toEqual([
      ['message.new', 'visitor', 'message.created'],
    ])
    expect(triggers.filter(([type]) => type === 'conversation.opened').map(([, , trigger]) => trigger)).toEqual(
      [undefined, ...senderTypes].map(() => 'conversation.opened'),
    )
  })
})
