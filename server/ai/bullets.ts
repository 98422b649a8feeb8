/** Reads the points out of what an AI has written, which may or may not be as it was asked to write. */

const maxBullets = 10

/** How long a point may be, in code points. */
const maxBullet = 500

/** Returns the points: those of a JSON list, else of a list in Markdown, else each line. None where it said nothing. */
export const readBullets = (answer: string): string[] => {
  // What some models think aloud first is not their answer.
  const text = answer.replace(/<think>.*?(<\/think>|$)/gis, '')
  const found = textsInJson(text) ?? textsInLines(text)
  return found
    .map(clean)
    .filter((bullet) => /[\p{L}\p{N}]/u.test(bullet))
    .slice(0, maxBullets)
}

// What is said around it is not looked at.
const textsInJson = (text: string): string[] | undefined => {
  const fenced = /```[a-z]*\n(.*?)```/is.exec(text)?.[1] ?? ''
  const candidates = [text, fenced, between(text, '[', ']'), between(text, '{', '}')]
  return candidates.map((one) => textsIn(parse(one), 0)).find((texts) => texts.length > 0)
}

const between = (text: string, first: string, last: string): string =>
  text.slice(text.indexOf(first), text.lastIndexOf(last) + 1)

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

// An object may have its list under any name, beside a title, or be the list itself: a name for each point.
const textsIn = (value: unknown, depth: number): string[] => {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null || depth > 4) return []
  const values: unknown[] = Object.values(value)
  const lists = Array.isArray(value) ? [] : values.filter(Array.isArray)
  return (lists.length > 0 ? lists : values).flatMap((one) => textsIn(one, depth + 1))
}

const marker = /^\s*(?:[-*•–+]|\d{1,2}[.)])\s+/

const textsInLines = (text: string): string[] => {
  const lines = text.split('\n').filter((line) => !/^\s*(#|```)/.test(line))
  const marked = lines.filter((line) => marker.test(line))
  return (marked.length > 0 ? marked : lines).map((line) => line.replace(marker, '').replaceAll('**', ''))
}

// Postgres takes neither NUL nor half of a surrogate pair.
const clean = (text: string): string => {
  const line = text
    .toWellFormed()
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
  const letters = [...line]
  return letters.length > maxBullet ? `${letters.slice(0, maxBullet - 1).join('')}…` : line
}
