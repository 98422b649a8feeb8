// Loaded into the program by a test: a machine on which the addon of uWebSockets.js does not load.
import Module from 'node:module'

const { _load: load } = Module

Module._load = (request, ...rest) => {
  if (request === 'uWebSockets.js') throw new Error('there is no build of it for this machine')
  return load(request, ...rest)
}
