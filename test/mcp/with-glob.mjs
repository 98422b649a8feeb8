/** Gives the conformance suite the one function of `fs` that Node 20 lacks; it uses it elsewhere, not for servers. */
import { register } from 'node:module'

const fs = `
  export * from 'node:fs'
  export { default } from 'node:fs'
  export const globSync = () => { throw new Error('Node 20 has no globSync') }`

const hooks = `
  export const resolve = async (name, context, next) =>
    name === 'fs' && context.parentURL?.includes('/conformance/dist/')
      ? { url: ${JSON.stringify(`data:text/javascript,${encodeURIComponent(fs)}`)}, shortCircuit: true }
      : next(name, context)`

register(`data:text/javascript,${encodeURIComponent(hooks)}`)
