/** Pusher's close and error codes. 4000–4099: do not come back unchanged; 4100–4199: later; 4200–4299: at once. */

export const pusherCodes = {
  tlsOnly: 4000,
  unknownApp: 4001,
  appDisabled: 4003,
  overQuota: 4004,
  unknownPath: 4005,
  invalidVersion: 4006,
  unsupportedProtocol: 4007,
  missingProtocol: 4008,
  unauthorized: 4009,
  overCapacity: 4100,
  reconnect: 4200,
  pongTimeout: 4201,
  inactive: 4202,
  clientEventRefused: 4301,
  watchlistTooLong: 4302,
} as const

export type PusherCode = (typeof pusherCodes)[keyof typeof pusherCodes]
