// Loaded into the program by a test: ends it with SIGKILL between a commit and its publish, where a message says so.
import { Redis } from 'ioredis'

const { publish } = Redis.prototype

Redis.prototype.publish = function (channel, message) {
  if (String(message).includes('die before this is told')) process.kill(process.pid, 'SIGKILL')
  return publish.call(this, channel, message)
}
