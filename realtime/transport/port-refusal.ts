/** Why the realtime port could not be opened, in one line. */

import { StartError } from '../../schema/errors.ts'

/** Returns the error for a code of the system, such as EADDRINUSE. */
export const portRefusal = (host: string, port: number, code: string): StartError =>
  code === 'EADDRINUSE'
    ? new StartError(`REALTIME_PORT ${port} is already in use on ${host}.`)
    : new StartError(`REALTIME_PORT ${port} cannot be opened on ${host}: ${code}.`)
