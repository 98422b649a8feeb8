/** `npm run bench -- NAME`: runnable benchmarks; each prints ratios measured in one run on this machine. */

import { benchFanout } from './fanout.ts'
import { benchScale } from './scale.ts'
import { benchStorm } from './storm.ts'
import { benchWrite } from './write.ts'

const benches: Record<string, () => Promise<void>> = {
  fanout: benchFanout,
  scale: benchScale,
  storm: benchStorm,
  write: benchWrite,
}

const [name = ''] = process.argv.slice(2)
const bench = benches[name]
if (!bench) {
  console.error(`usage: npm run bench -- ${Object.keys(benches).join('|')}`)
  process.exit(2)
}
await bench()
