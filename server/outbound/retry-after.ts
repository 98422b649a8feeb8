/** Retry-After: how long somebody who does not take something now wants to be left alone. */

/**
 * Returns how many seconds a header asks for, from `now` in ms; undefined where it asks for nothing that can be read. It
 * is a number of seconds, or a date. https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
 */
export const readRetryAfter = (header: string | string[] | undefined, now: number): number | undefined => {
  const text = (Array.isArray(header) ? header[0] : header)?.trim() ?? ''
  if (/^\d+$/.test(text)) return Number(text)
  // Else Date.parse would take nearly anything for a date.
  if (!/^[A-Z][a-z]{2}, .* GMT$/.test(text)) return undefined
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - now) / 1000))
}
