import { expect, test } from 'vitest'
import { sameSecret } from '../../auth/compare.ts'

test('a secret is the same as itself', () => {
  expect(sameSecret('whsec_abc', 'whsec_abc')).toBe(true)
  expect(sameSecret('', '')).toBe(true)
  expect(sameSecret('ключ', 'ключ')).toBe(true)
})

test('a secret is not the same as another, a longer, a shorter or none', () => {
  expect(sameSecret('whsec_abc', 'whsec_abd')).toBe(false)
  expect(sameSecret('whsec_abc', 'whsec_abcd')).toBe(false)
  expect(sameSecret('whsec_abc', 'whsec_ab')).toBe(false)
  expect(sameSecret('whsec_abc', '')).toBe(false)
})
