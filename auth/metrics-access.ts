/** Who may read the metrics: this machine, and who has the token. */

import { sameSecret } from './compare.ts'

/** Who asks. `isForwarded`: a proxy asks for someone else, so that its own address says nothing. */
export type Scraper = { address: string; isForwarded: boolean; authorization: string | undefined }

/** Returns whether the metrics are shown. */
export const mayReadMetrics = (
  { address, isForwarded, authorization }: Scraper,
  token: string | undefined,
): boolean => {
  if (!isForwarded && isLoopback(address)) return true
  const given = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1]
  return token !== undefined && given !== undefined && sameSecret(given, token)
}

const isLoopback = (address: string): boolean => /^(127\.|::1$|::ffff:127\.|(0000:){7}0001$)/.test(address)
