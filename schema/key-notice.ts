/** What every hub is told when an API key changes. */

/** What has become of a key: it opens nothing any more, or something else than before (`changed`). */
export type KeyFate = 'revoked' | 'expired' | 'changed'

/** `version` counts the changes of a key: what was signed under an earlier one no longer holds. */
export type KeyNotice = { key: string; version: number; fate: KeyFate }

/** How a key stands now. `expires` is in unix seconds; undefined: never. */
export type KeyStanding = { version: number; refusal: 'revoked' | 'expired' | undefined; expires: number | undefined }

/** Writes a notice for the bus. */
export const encodeKeyNotice = ({ key, version, fate }: KeyNotice): string => `${key} ${version} ${fate}`

/** Reads a notice from the bus; undefined if it is not one. */
export const decodeKeyNotice = (message: string): KeyNotice | undefined => {
  const match = /^(key_\w+) (\d+) (revoked|expired|changed)$/.exec(message)
  const [, key, version, fate] = match ?? []
  if (!key || !(fate === 'revoked' || fate === 'expired' || fate === 'changed')) return undefined
  return { key, version: Number(version), fate }
}
