/** What curl does, as far as the docs need it: the commands there also run where curl is not installed. */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'

const headers = new Headers()
let method
let url = ''
let body
const args = process.argv.slice(2)
for (let name = args.shift(); name !== undefined; name = args.shift()) {
  if (name === '-s') continue
  if (name === '-X') method = args.shift()
  else if (name === '-H') headers.append(...args.shift().split(/: (.*)/s, 2))
  else if (name === '-d') body = args.shift()
  else if (name === '-F') {
    const [, field, path, type] = /^(\w+)=@([^;]+)(?:;type=(.+))?$/.exec(args.shift())
    body = new FormData()
    body.append(field, new Blob([await readFile(path)], { type }), basename(path))
  } else if (name.startsWith('-')) throw new Error(`this curl has no ${name}`)
  else url = name
}
const answer = await fetch(url, { method: method ?? (body === undefined ? 'GET' : 'POST'), headers, body })
process.stdout.write(`${await answer.text()}\n`)
if (!answer.ok) {
  process.stderr.write(`${method ?? 'GET'} ${url}: ${answer.status}\n`)
  process.exit(22)
}
