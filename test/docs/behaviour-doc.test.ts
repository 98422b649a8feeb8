/** Every file that docs/behaviour.md names is there, and has each test that is named after it. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const page = readFileSync(new URL('../../docs/behaviour.md', import.meta.url), 'utf8')
const rows = [...page.matchAll(/^\| (?!What is documented|---)(.*) \| (.*) \|$/gm)]

/** Whether a test or a suite of that title is in a file: the title stands in quotes, whole. */
const isIn = (text: string, title: string): boolean =>
  [`'${title.replaceAll("'", "\\'")}'`, `"${title}"`, `\`${title}\``].some((quoted) => text.includes(quoted))

test('every behaviour has a test, by its whole title', () => {
  expect(rows.length).toBeGreaterThan(100)
  for (const [, what, shown = ''] of rows) {
    const files = shown.split('; [').map((part, index) => (index === 0 ? part : `[${part}`))
    for (const file of files) {
      const [, path = '', titles = ''] = /^\[[\w-]+\]\(([\w./-]+)\): (.*)$/.exec(file) ?? []
      expect(path, `${what}: ${file}`).not.toBe('')
      const text = readFileSync(fileURLToPath(new URL(`../../docs/${path}`, import.meta.url)), 'utf8')
      const named = [...titles.matchAll(/`([^`]+)`/g)].map(([, title = '']) => title)
      expect(named.map((title) => `\`${title}\``).join(' · '), `${what}: ${file}`).toBe(titles)
      expect(
        named.filter((title) => !isIn(text, title)),
        `${what}: ${path}`,
      ).toEqual([])
    }
  }
})
