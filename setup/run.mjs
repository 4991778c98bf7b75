#!/usr/bin/env node
// npm run bench|campaign|reference|demo:realm [-- …]: set up what it needs, then run it with Node 24.
import { become } from './child.mjs'
import { setUpOrExit } from './setup.mjs'

const RUNNERS = {
  bench: { file: 'bench/run.ts', purpose: 'bench' },
  campaign: { file: 'hil-tests/run.ts', purpose: 'bench' },
  'demo:realm': { file: 'hil-tests/demo/realm.ts', purpose: 'start' },
  reference: { file: 'setup/reference.ts', purpose: 'start' },
  versions: { file: 'appliance/realm/upgrade/print.ts', purpose: 'start' },
}
const [name, ...args] = process.argv.slice(2)
const runner = RUNNERS[name]
if (!runner) { process.stderr.write(`node setup/run.mjs ${Object.keys(RUNNERS).join('|')} …\n`); process.exit(2) }
// A list or a help text needs no peers.
await setUpOrExit(args.length === 0 || args.includes('--help') ? 'start' : runner.purpose)
become(runner.file, args)
