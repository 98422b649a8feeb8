/** The lines of a webhook's events that were not tried yet: one for each channel, which keeps its order. */

/** An event that waits: its JSON, and when it happened, in ms. */
export type Waiting = { channel: string; json: string; time: number }

export type Lines = ReturnType<typeof createLines>

/** Makes the lines. Of a channel that was taken from nothing more is taken until it is released. */
export const createLines = () => {
  // In both: by channel. Those that are free come in the order in which they became so.
  const free = new Map<string, Waiting[]>()
  const held = new Map<string, Waiting[]>()
  let ready = 0

  return {
    /** How many events could be taken now. */
    ready: () => ready,

    push: (event: Waiting): void => {
      const behind = held.get(event.channel)
      if (behind) {
        behind.push(event)
        return
      }
      ready += 1
      const line = free.get(event.channel)
      if (line) line.push(event)
      else free.set(event.channel, [event])
    },

    /** Takes up to `most` events of up to `size` characters, channel by channel, and holds their channels; one at least if there is one. */
    take: (most: number, size: number): Waiting[] => {
      const taken: Waiting[] = []
      let length = 0
      for (const [channel, line] of free) {
        let count = 0
        for (const { json } of line) {
          if (taken.length + count === most || (length > 0 && length + json.length > size)) break
          length += json.length
          count += 1
        }
        if (count === 0) break
        taken.push(...line.splice(0, count))
        free.delete(channel)
        held.set(channel, line)
        ready -= count + line.length
      }
      return taken
    },

    /** Lets channels go on. */
    release: (events: readonly Waiting[]): void => {
      for (const { channel } of events) {
        const line = held.get(channel)
        held.delete(channel)
        if (!line || line.length === 0) continue
        free.set(channel, line)
        ready += line.length
      }
    },
  }
}
