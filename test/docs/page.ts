/** A page of the documentation, taken apart: its sections, the tables in them, its pieces of code. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Reads a file of the project. */
export const readFile = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

/** What lets the commands of a page run in a shell where curl is not installed. */
export const curlInShell = `curl() { "${process.execPath}" "${fileURLToPath(new URL('curl.mjs', import.meta.url))}" "$@"; }`

/** Returns what stands in backquotes in a text. */
export const codeIn = (text: string | undefined): string[] =>
  [...(text ?? '').matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)

/** Reads a page. */
export const readPage = (path: string) => {
  const text = readFile(path)
  return {
    text,
    /** Returns the text between a heading and the next one that is not below it. */
    section: (heading: string): string => {
      const level = /^#+/.exec(heading)?.[0].length ?? 0
      const [, found] = text.split(`\n${heading}\n`)
      if (found === undefined) throw new Error(`${path} has no heading ${heading}`)
      return found.split(new RegExp(`^#{1,${level}} `, 'm'))[0] ?? ''
    },
    /** Returns the blocks of code in a language. */
    blocks: (language: string): string[] =>
      [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(([, block = '']) => block),
  }
}

/** Returns the cells of each row of the tables in a text, headers apart. */
export const rowsOf = (text: string): string[][] =>
  [...text.matchAll(/^\|(.+)\|$/gm)]
    .map(([, row = '']) => row.split('|').map((cell) => cell.trim()))
    .filter((cells, at, all) => !isRule(cells) && !isRule(all[at + 1] ?? []))

const isRule = (cells: string[]): boolean => cells.length > 0 && cells.every((cell) => /^-+$/.test(cell))
