/** The folder listing is the architecture: who may import whom, and how large a file may get. */

import { describe, expect, it } from 'vitest'
import { readSources } from './sources.ts'

const sources = readSources()
const product = sources.filter(({ path }) => !/^(test|bench)\//.test(path))

/** What each folder may import beside itself. */
const mayImport: Record<string, readonly string[]> = {
  schema: [],
  auth: ['schema'],
  realtime: ['schema', 'auth'],
  server: ['schema', 'auth', 'realtime/bus/bus.ts'],
}

/** Where each guarded package may be imported; `main.ts` never needs one but ioredis. */
const guarded: Record<string, readonly string[]> = {
  'uWebSockets.js': ['realtime/', 'bench/'],
  ws: ['realtime/', 'test/', 'bench/'],
  ioredis: ['realtime/', 'main.ts'],
  postgres: ['server/', 'test/'],
  fastify: ['server/'],
  'pusher-js': ['client/', 'web/', 'test/', 'bench/'],
}

const folder = (path: string) => path.split('/')[0] ?? ''

describe('layout', () => {
  it('finds the sources it judges', () => {
    expect(new Set(product.map(({ path }) => folder(path)))).toEqual(
      new Set(['main.ts', 'vitest.config.ts', ...Object.keys(mayImport)]),
    )
    expect(sources.reduce((sum, { modules }) => sum + modules.length, 0)).toBeGreaterThan(100)
  })

  it('a folder imports only what it may', () => {
    const wrong = product.flatMap(({ path, modules }) => {
      const allowed = mayImport[folder(path)]
      if (!allowed) return []
      return modules
        .filter(
          (module) =>
            folder(module) !== folder(path) && !allowed.some((one) => module === one || module.startsWith(`${one}/`)),
        )
        .map((module) => `${path} imports ${module}`)
    })
    expect(wrong).toEqual([])
  })

  it('schema is pure: it imports zod and nothing else; auth only node:crypto beside it', () => {
    const wrong = sources.flatMap(({ path, packages }) => {
      const allowed = folder(path) === 'schema' ? ['zod'] : folder(path) === 'auth' ? ['node:crypto'] : undefined
      return allowed ? packages.filter((name) => !allowed.includes(name)).map((name) => `${path} imports ${name}`) : []
    })
    expect(wrong).toEqual([])
  })

  it('guarded packages stay in their rooms', () => {
    const wrong = sources.flatMap(({ path, packages }) =>
      packages
        .filter((name) => guarded[name] && !guarded[name].some((room) => path.startsWith(room)))
        .map((name) => `${path} imports ${name}`),
    )
    expect(wrong).toEqual([])
  })

  it('a face never imports another face, and holds no SQL and no bus', () => {
    const faceOf = (path: string) => /^server\/faces\/([^/.]+)/.exec(path)?.[1]
    const shared = new Set(['addresses'])
    const wrong = sources
      .filter(({ path }) => faceOf(path) !== undefined)
      .flatMap(({ path, modules, text }) => [
        ...modules
          .filter((module) => {
            const other = faceOf(module)
            return other !== undefined && other !== faceOf(path) && !shared.has(other)
          })
          .map((module) => `${path} imports ${module}`),
        ...modules.filter((module) => module.startsWith('realtime/')).map((module) => `${path} imports ${module}`),
        ...(/sql`/.test(text) ? [`${path} holds SQL`] : []),
      ])
    expect(wrong).toEqual([])
  })

  it('only the module that records events sees the bus', () => {
    const seeing = sources
      .filter(
        ({ path, modules }) => path.startsWith('server/') && modules.some((module) => module.startsWith('realtime/')),
      )
      .map(({ path }) => path)
    expect(seeing).toEqual(['server/domain/context.ts', 'server/domain/record.ts'])
  })

  it('imports make no circle', () => {
    const modules = new Map(sources.map((source) => [source.path, source.modules]))
    const done = new Set<string>()
    const visit = (path: string, trail: string[]): string[] => {
      if (trail.includes(path)) return [[...trail.slice(trail.indexOf(path)), path].join(' → ')]
      if (done.has(path)) return []
      const circles = (modules.get(path) ?? []).flatMap((next) => visit(next, [...trail, path]))
      done.add(path)
      return circles
    }
    expect([...modules.keys()].flatMap((path) => visit(path, []))).toEqual([])
  })

  it('no file has more than 400 lines, none is a drawer, and each says what it is for', () => {
    const wrong = sources.flatMap(({ path, text }) => [
      ...(text.split('\n').length > 401 ? [`${path} is too long`] : []),
      ...(/(^|\/)(utils?|helpers?|common|misc)(\.|\/)/.test(path) ? [`${path} is a drawer`] : []),
      ...(/^(#!.*\n)?\/\*\*/.test(text) || /\.(test|config)\.ts$/.test(path)
        ? []
        : [`${path} does not say what it is for`]),
    ])
    expect(wrong).toEqual([])
  })
})
