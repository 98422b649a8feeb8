import { withoutUws } from '../support/program.ts'
import { mainJob } from './main-job.ts'

mainJob('in one process', 'whole', () => ({}))
mainJob('with REST and sockets apart', { rest: 1, realtime: 1 }, () => ({}))
mainJob('with two of each', { rest: 2, realtime: 2 }, () => ({}))
mainJob('in one process without uWebSockets.js', 'whole', () => withoutUws)
mainJob('with two of each without uWebSockets.js', { rest: 2, realtime: 2 }, () => withoutUws)
