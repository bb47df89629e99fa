// `node --import ./old_node.mjs`: the conformance suite imports `globSync`, which Node has since version 22. It is for
// a command that we do not run, so older versions get one that says so.
import * as fs from 'node:fs'
import { register } from 'node:module'

if (!fs.globSync) {
  const shim = `export * from 'node:fs'
    export { default } from 'node:fs'
    export const globSync = () => { throw new Error('this needs Node 22') }`
  const url = 'data:text/javascript,' + encodeURIComponent(shim)
  const hook = `export const resolve = (name, context, next) =>
    name === 'fs' ? { url: ${JSON.stringify(url)}, shortCircuit: true } : next(name, context)`
  register('data:text/javascript,' + encodeURIComponent(hook))
}
