/** The subscribers of a benchmark, spread over a few processes; every frame that they should have had is asked for. */

import { startChild } from './child.ts'
import type { Arrived, ClientQuestion } from './client-sockets.ts'
import type { BenchApp } from './publisher.ts'

export type Clients = {
  /** Opens a further socket for each channel and returns when all are subscribed; signs for private ones. */
  open(port: number, path: string, channels: string[], app?: BenchApp): Promise<void>
  /** Waits for so many further frames at each socket, of a length if one is given; rejects if any is missing or more. */
  arrived(frames: number, bytes?: number): Promise<void>
  /** Closes all sockets; rejects if anything came that was not asked for. */
  close(): Promise<void>
  /** Ends the processes. */
  stop(): Promise<void>
}

/** Starts the processes that hold the sockets. */
export const startClients = (processes: number): Clients => {
  const holders = Array.from({ length: processes }, () => ({
    child: startChild('client-sockets.ts'),
    sockets: 0,
    owed: { frames: 0, bytes: 0 },
  }))
  type Holder = (typeof holders)[number]

  const ask = async (holder: Holder, question: ClientQuestion, anyLength = false): Promise<void> => {
    const { frames, bytes, cut } = await holder.child.ask<Arrived>(question)
    if (anyLength) holder.owed.bytes = bytes
    if (frames === holder.owed.frames && bytes === holder.owed.bytes && cut === 0) return
    throw new Error(
      `${holder.owed.frames} frames of ${holder.owed.bytes} bytes were due at ${holder.sockets} sockets, ` +
        `${frames} of ${bytes} bytes came, ${cut} sockets were cut`,
    )
  }

  const each = async (act: (holder: Holder, index: number) => Promise<void>): Promise<void> => {
    await Promise.all(holders.map(act))
  }

  return {
    open: (port, path, channels, app) =>
      each(async (holder, index) => {
        const own = channels.filter((_, n) => n % processes === index)
        holder.sockets += own.length
        await ask(holder, { open: { port, path, channels: own, app } })
      }),
    arrived: (frames, bytes) =>
      each(async (holder) => {
        holder.owed.frames += frames * holder.sockets
        holder.owed.bytes += frames * holder.sockets * (bytes ?? 0)
        await ask(holder, { arrived: { frames: holder.owed.frames } }, bytes === undefined)
      }),
    close: () =>
      each(async (holder) => {
        await ask(holder, { close: true })
        holder.sockets = 0
        holder.owed = { frames: 0, bytes: 0 }
      }),
    stop: () => each((holder) => holder.child.stop()),
  }
}
