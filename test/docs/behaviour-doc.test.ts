/** Every file and every title that docs/behaviour.md names is there. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const page = readFileSync(new URL('../../docs/behaviour.md', import.meta.url), 'utf8')
const rows = [...page.matchAll(/^\| (?!What is documented|---)(.*?) \| ([^|]*) \|$/gm)]

test('every behaviour has a test', () => {
  expect(rows.length).toBeGreaterThan(60)
  for (const [, what, shown = ''] of rows) {
    const named = [...shown.matchAll(/\[[\w-]+\]\(([\w./-]+)\)|`([^`]+)`/g)]
    expect(named[0]?.[1], `a test of: ${what}`).toBeDefined()
    let text = ''
    for (const [, path, title] of named) {
      if (path) text = readFileSync(fileURLToPath(new URL(`../../docs/${path}`, import.meta.url)), 'utf8')
      else expect(text.replaceAll("\\'", "'"), `${what}: ${title}`).toContain(title)
    }
  }
})
