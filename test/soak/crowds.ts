/** Crowds of browsers, each in a process of its own. */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { CrowdAnswer, CrowdQuestion } from './crowd-plan.ts'

export type Crowd = {
  /** Asks for something; resolves when all of its browsers have done it. One thing at a time. */
  ask(question: CrowdQuestion): Promise<CrowdAnswer>
  /** Ends the process, and waits. */
  stop(): Promise<void>
}

/** Starts one. */
export const startCrowd = (): Crowd => {
  const child = fork(fileURLToPath(new URL('crowd.ts', import.meta.url)), { execArgv: ['--import', 'tsx'] })
  const exited = once(child, 'exit')

  return {
    ask: (question) =>
      new Promise((resolve, reject) => {
        const ended = (): void => reject(new Error('a crowd has ended'))
        child.once('exit', ended)
        child.once('message', (answer: CrowdAnswer | { error: string }) => {
          child.off('exit', ended)
          if ('error' in answer) reject(new Error(answer.error))
          else resolve(answer)
        })
        child.send(question)
      }),
    stop: async () => {
      child.disconnect()
      await exited
    },
  }
}
