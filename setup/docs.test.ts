import test from 'ava'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { CODES } from '../appliance/contracts/codes.ts'

const ROOT = resolve(import.meta.dirname, '..')
const pages = [
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.md')).map((file) => join('docs', file)),
  ...readdirSync(ROOT).filter((file) => file.endsWith('.md')),
]

for (const page of pages) {
  const text = readFileSync(join(ROOT, page), 'utf8')
  test(`${page}: every relative link leads to a file`, (t) => {
    const links = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1]!).filter((link) => !/^[a-z]+:/.test(link))
    t.deepEqual(links.filter((link) => !existsSync(resolve(ROOT, dirname(page), link))), [])
  })
  test(`${page}: every npm script it names exists`, (t) => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
    const named = [...text.matchAll(/npm run ([a-z]+(?::[a-z]+)?)/g)].map((match) => match[1]!)
    t.deepEqual(named.filter((name) => !(name in scripts)), [])
  })
}

test('codes named in the guide are in the catalogue', (t) => {
  // The reference pages are generated, or name the codes of a device's own protocol.
  const wrong = pages.filter((page) => !page.startsWith('docs/reference')).flatMap((page) => [...readFileSync(join(ROOT, page), 'utf8').matchAll(/`([A-Z]{2,}(?:_[A-Z]+)+)`/g)].map((match) => match[1]!).filter((name) => !(name in CODES)).map((name) => `${page}: ${name}`))
  t.deepEqual(wrong, [])
})
