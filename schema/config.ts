/** The configuration: every environment variable the program reads, checked once. */

import { z } from 'zod'
import { StartError } from './errors.ts'
import { privateHosts } from './outbound.ts'

const whole = (min: number, max = Number.MAX_SAFE_INTEGER) => {
  const error = `must be a whole number ${max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`}`
  return z.coerce.number({ error }).int({ error }).min(min, { error }).max(max, { error })
}
const port = whole(0, 65_535)
/** The parts of the program; all three run where ROLES does not say otherwise. */
export const roles = ['rest', 'realtime', 'worker'] as const

/** A part of the program: it may run alone or with the others in one process. */
export type Role = (typeof roles)[number]

const roleList = z
  .string()
  .transform((text) => [...new Set(text.split(',').map((role) => role.trim()))])
  .pipe(z.array(z.enum(roles, { error: ({ input }) => `${input} is not one of ${roles.join(', ')}` })))

const trusted = z.union([z.enum(['loopback', 'linklocal', 'uniquelocal']), z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()])

// A path that a client sends as it is: without dot segments, and nothing that has to be escaped.
const pathPrefix = z
  .string()
  .regex(/^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._~-]+)+\/?$/, 'must be a path such as /ws, of letters, digits, . _ ~ and -')
  .transform((path) => path.replace(/\/$/, ''))

const environment = z.object({
  HOST: z.string().default('127.0.0.1'),
  PORT: port.default(3000),
  REALTIME_PORT: port.default(6001),
  DATA_DIR: z.string().optional(),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must begin with postgres:// or postgresql://')
    .optional(),
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\//, 'must begin with redis:// or rediss://')
    .optional(),
  ROLES: roleList.default([...roles]),
  PUSHER_APP_ID: z.string().regex(/^\d+$/, 'must be digits').optional(),
  PUSHER_APP_KEY: z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/, 'must be letters, digits, _ or -')
    .optional(),
  PUSHER_APP_SECRET: z.string().optional(),
  PUSHER_APPS: z.string().optional(),
  BOOTSTRAP_API_KEY: z
    .string()
    .regex(/^mr_live_[A-Za-z0-9_-]{22,200}$/, 'must be mr_live_ and at least 22 of A-Z a-z 0-9 _ -')
    .optional(),
  PUBLIC_URL: z.url({ protocol: /^https?$/, message: 'must be an http or https address' }).optional(),
  REALTIME_PUBLIC_URL: z
    .url({ protocol: /^(https?|wss?)$/, message: 'must be an http, https, ws or wss address' })
    .optional(),
  TRUST_PROXY: z
    .string()
    .refine(
      (list) => list === 'true' || list.split(',').every((one) => trusted.safeParse(one.trim()).success),
      'must be true, or a list of addresses and networks such as loopback, 10.0.0.0/8',
    )
    .optional(),
  RATE_LIMIT_PER_MINUTE: whole(0).default(120),
  TLS_CERT_FILE: z.string().optional(),
  TLS_KEY_FILE: z.string().optional(),
  REALTIME_PATH_PREFIX: pathPrefix.optional(),
  MAX_SOCKETS_PER_IP: whole(1).optional(),
  MAX_CHANNELS_PER_SOCKET: whole(1).default(200),
  SEND_BUFFER_BYTES: whole(16_384).default(1_048_576),
  WEBHOOK_ALLOW_PRIVATE: privateHosts.optional(),
  METRICS_TOKEN: z.string().min(16, 'must have at least 16 characters').optional(),
  AI_BASE_URL: z.url({ protocol: /^https?$/, message: 'must be an http or https address' }).optional(),
  AI_API_KEY: z.string().optional(),
  AI_MODEL: z.string().optional(),
  MCP_ALLOWED_ORIGINS: z
    .string()
    .transform((text) => text.split(',').map((origin) => origin.trim()))
    .pipe(
      z.array(
        z
          .string()
          .refine(
            (origin) => /^https?:\/\/[^/]+$/.test(origin) && URL.canParse(origin),
            'must be origins such as https://example.com',
          ),
      ),
    )
    .optional(),
  EVENT_RETENTION_DAYS: whole(1, 36_500).default(7),
  DRAIN_SECONDS: whole(0, 3600).default(10),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
})

type Given = z.infer<typeof environment>

/** What was read; `tls` are both files of the certificate of the realtime port, if it has one. */
export type Config = Given & { tls: { certFile: string; keyFile: string } | undefined }

/** Reads the configuration; a value that cannot be used is one line naming its variable. An empty value is unset. */
export const readConfig = (env: Record<string, string | undefined>): Config => {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''))
  const parsed = environment.safeParse(given)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new StartError(`${issue?.path[0]?.toString()}: ${issue?.message}`)
  }
  checkApp(parsed.data)
  checkAi(parsed.data)
  checkRoles(parsed.data)
  return { ...parsed.data, tls: tlsOf(parsed.data) }
}

// Processes that share a chat find each other through what they are all given.
const checkRoles = ({ ROLES, REDIS_URL, DATABASE_URL, PUSHER_APP_SECRET }: Given) => {
  if (ROLES.length === roles.length) return
  const apart = `ROLES: ${ROLES.join(',')} runs apart from the other roles and`
  if (REDIS_URL === undefined) throw new StartError(`${apart} needs REDIS_URL, the bus between them`)
  if (PUSHER_APP_SECRET === undefined) {
    throw new StartError(`${apart} needs PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET, the same for all`)
  }
  if (DATABASE_URL === undefined && ROLES.some((role) => role !== 'realtime')) {
    throw new StartError(`${apart} needs DATABASE_URL, since only a process with all roles brings its own Postgres`)
  }
}

const tlsOf = ({ TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile }: Given): Config['tls'] => {
  if (certFile === undefined && keyFile === undefined) return undefined
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile }
  throw new StartError('TLS_CERT_FILE and TLS_KEY_FILE are set together or not at all')
}

const checkAi = ({ AI_BASE_URL, AI_MODEL }: Given) => {
  if ((AI_BASE_URL === undefined) !== (AI_MODEL === undefined)) {
    throw new StartError('AI_BASE_URL and AI_MODEL are set together or not at all')
  }
}

const checkApp = ({ PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET }: Given) => {
  const set = [PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET].filter((value) => value !== undefined)
  if (set.length !== 0 && set.length !== 3) {
    throw new StartError('PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET are set together or not at all')
  }
}
