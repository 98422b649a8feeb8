// Loaded into the program by a test: tells on SIGUSR2 how much memory is in use once the garbage is gone.
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')

process.on('SIGUSR2', async () => {
  // What is freed in one round may hold what is freed in the next.
  for (let round = 0; round < 4; round += 1) {
    gc()
    await setImmediate()
  }
  process.stderr.write(`memory ${JSON.stringify(process.memoryUsage())}\n`)
})
