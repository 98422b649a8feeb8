/** The project's own source files and what each imports. */

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A file with its path from the root; `modules` are paths from the root, `packages` are names of packages. */
export type Source = { path: string; text: string; modules: string[]; packages: string[] }

/** Reads every TypeScript file that git knows of or would add. */
export const readSources = (): Source[] =>
  execFileSync('git', ['ls-files', '-co', '--exclude-standard', '--', '*.ts', '*.tsx'], { cwd: root, encoding: 'utf8' })
    .split('\n')
    .filter((path) => path !== '')
    .map((path) => {
      const text = readFileSync(join(root, path), 'utf8')
      const imported = [...text.matchAll(statement), ...text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)].map(
        ([, name]) => name ?? '',
      )
      return {
        path,
        text,
        modules: imported
          .filter((name) => name.startsWith('.'))
          .map((name) => relative(root, join(root, dirname(path), name))),
        packages: imported.filter((name) => !name.startsWith('.')).map(packageName),
      }
    })

const statement =
  /^(?:import\s+(?:[\w*{},\s]+?\s+from\s+)?|export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s+from\s+)['"]([^'"]+)['"]/gm

const packageName = (name: string): string =>
  name.startsWith('node:')
    ? name
    : name
        .split('/')
        .slice(0, name.startsWith('@') ? 2 : 1)
        .join('/')
