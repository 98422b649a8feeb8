/** A file of this folder as a process of its own, that is asked in lines of JSON and answers each with one. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export type Child = {
  pid: number
  /** Sends a question and returns its answer; rejects for an answer with an `error`, at its end, and after 30 s. */
  ask<Answer>(question: object): Promise<Answer>
  /** Ends it and waits. */
  stop(): Promise<void>
}

/** Starts a file of this folder. It ends with its stdin, so that it outlives no parent. */
export const startChild = (file: string): Child => {
  const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(new URL(file, import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const { pid } = child
  if (pid === undefined) throw new Error(`${file} could not be started`)
  const asked: { take: (line: string) => void; fail: (error: Error) => void }[] = []
  createInterface({ input: child.stdout }).on('line', (line) => asked.shift()?.take(line))
  const exited = once(child, 'close').then(() => {
    for (const { fail } of asked.splice(0)) fail(new Error(`${file} ended`))
  })

  const ask = <Answer>(question: object): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        clearTimeout(late)
        reject(error)
      }
      const take = (line: string) => {
        clearTimeout(late)
        const answer: { error: string } | { answer: Answer } = JSON.parse(line)
        if ('error' in answer) reject(new Error(answer.error))
        else resolve(answer.answer)
      }
      const late = setTimeout(reject, 30_000, new Error(`${file} did not answer within 30 s`))
      asked.push({ take, fail })
      child.stdin.write(`${JSON.stringify(question)}\n`)
    })

  const stop = async () => {
    child.stdin.end()
    await exited
  }

  return { pid, ask, stop }
}

/** In the child: answers every question with what `answer` returns, or with why it could not. */
export const answerParent = <Question>(answer: (question: Question) => object | Promise<object>): void => {
  const questions = createInterface({ input: process.stdin })
  questions.on('line', async (line) => {
    const question: Question = JSON.parse(line)
    try {
      console.log(JSON.stringify({ answer: await answer(question) }))
    } catch (error) {
      console.log(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }))
    }
  })
  questions.on('close', () => process.exit())
}
