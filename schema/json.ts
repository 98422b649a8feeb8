/** JSON from outside, and written again: neither ever throws. */

/** Reads a text; undefined where it is not JSON. */
export const readJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Writes a value that came from outside; undefined where it is nested so deeply that it cannot be written. */
export const writeJson = (value: unknown): string | undefined => {
  try {
    return JSON.stringify(value)
  } catch {
    // Reading takes no stack, writing does.
    return undefined
  }
}
