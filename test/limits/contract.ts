/** What every limiter must do; each way of counting runs this suite. */

import { afterEach, describe, expect, test } from 'vitest'
import type { Limiter } from '../../server/http/limiter.ts'

export type MadeLimiter = { limiter: Limiter; close(): void }

const minute = 60_000

/** Runs the suite on the limiters that `make` makes; they are closed after each test. `window`: how long it is, in ms. */
export const limiterContract = (
  name: string,
  make: (window: number) => MadeLimiter | Promise<MadeLimiter>,
  { freshBucket }: { freshBucket: () => string },
): void => {
  describe(name, () => {
    let opened: MadeLimiter[] = []

    const start = async (window = minute): Promise<Limiter> => {
      const made = await make(window)
      opened.push(made)
      return made.limiter
    }

    afterEach(() => {
      for (const { close } of opened) close()
      opened = []
    })

    test('a bucket has as many requests as it is given, and each is told what is left', async () => {
      const limiter = await start()
      const bucket = freshBucket()
      for (const left of [2, 1, 0]) {
        const allowance = await limiter(bucket, 3)
        expect(allowance).toMatchObject({ allowed: true, limit: 3, remaining: left })
        expect(allowance.resetIn).toBeGreaterThan(minute - 10_000)
        expect(allowance.resetIn).toBeLessThanOrEqual(minute)
      }
      expect(await limiter(bucket, 3)).toMatchObject({ allowed: false, limit: 3, remaining: 0 })
      expect(await limiter(bucket, 3)).toMatchObject({ allowed: false, limit: 3, remaining: 0 })
    })

    test('what one bucket has used is not taken from another', async () => {
      const limiter = await start()
      const [one, other] = [freshBucket(), freshBucket()]
      expect((await limiter(one, 1)).allowed).toBe(true)
      expect((await limiter(one, 1)).allowed).toBe(false)
      expect((await limiter(other, 1)).allowed).toBe(true)
    })

    test('of requests that come at once no more are allowed, and each is told something else', async () => {
      const limiter = await start()
      const bucket = freshBucket()
      const all = await Promise.all(Array.from({ length: 50 }, () => limiter(bucket, 20)))
      const allowed = all.filter((one) => one.allowed)
      expect(allowed.map(({ remaining }) => remaining).sort((a, b) => b - a)).toEqual(
        Array.from({ length: 20 }, (_, used) => 19 - used),
      )
    })

    test('a window begins with the first request, and none that is refused makes it longer', async () => {
      const limiter = await start(400)
      const bucket = freshBucket()
      const from = performance.now()
      expect((await limiter(bucket, 1)).allowed).toBe(true)
      let last = 400
      for (;;) {
        const { allowed, resetIn } = await limiter(bucket, 1)
        if (allowed) break
        expect(resetIn).toBeGreaterThan(0)
        expect(resetIn).toBeLessThanOrEqual(last)
        last = resetIn
        await new Promise((resolve) => setTimeout(resolve, Math.min(100, resetIn)))
      }
      expect(performance.now() - from).toBeGreaterThan(350)
      expect((await limiter(bucket, 1)).allowed).toBe(false)
    })

    test('a bucket may be called whatever a client says', async () => {
      const limiter = await start()
      const bucket = freshBucket()
      for (const name of ['__proto__', '{a}', '', 'ü\0\n\ud800', 'x'.repeat(100_000)]) {
        expect((await limiter(`${bucket} ${name}`, 1)).allowed).toBe(true)
        expect((await limiter(`${bucket} ${name}`, 1)).allowed).toBe(false)
      }
    })
  })
}
