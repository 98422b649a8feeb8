/** What asked for a socket of uWebSockets.js: what is gone after the upgrade is kept, the rest is read when asked for. */

import type { HttpRequest } from 'uWebSockets.js'
import type { Forwarded, Listening } from './proxies.ts'
import type { UpgradeRequest } from './transport.ts'
import { rawQuery } from './uws-http.ts'

/** A class, since there is one for each socket; asking the addon for an address costs, and few want to know. */
export class UwsUpgrade implements UpgradeRequest {
  readonly path: string
  readonly query: string
  readonly origin: string
  readonly #listening: Listening
  readonly #forwarded: Forwarded | undefined
  /** The socket once it is open; it knows its connection's own address. */
  wire: { address(): string } | undefined

  constructor(req: HttpRequest, listening: Listening) {
    this.path = req.getUrl()
    this.query = rawQuery(req)
    this.origin = req.getHeader('origin')
    this.#listening = listening
    if (listening.proxies) this.#forwarded = forwardedOf(req)
  }

  get address(): string {
    const own = this.wire?.address() ?? ''
    const { proxies } = this.#listening
    return proxies && this.#forwarded ? proxies.addressOf(own, this.#forwarded) : own
  }

  get isSecure(): boolean {
    const { isTls, proxies } = this.#listening
    if (!proxies || !this.#forwarded) return isTls
    return proxies.isSecure(this.wire?.address() ?? '', this.#forwarded, isTls)
  }
}

// Some proxies add a line of their own below the client's; asking for a header gives the first line alone.
const forwardedOf = (req: HttpRequest): Forwarded => {
  const addresses: string[] = []
  const protos: string[] = []
  req.forEach((name, value) => {
    if (name === 'x-forwarded-for') addresses.push(value)
    else if (name === 'x-forwarded-proto') protos.push(value)
  })
  return { addresses: addresses.join(), proto: protos.join() }
}
