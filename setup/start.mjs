#!/usr/bin/env node
// npm start [-- flags of the daemon]: set up, then run the daemon.
import { become } from './child.mjs'
import { setUpOrExit } from './setup.mjs'

await setUpOrExit('start')
// Young generations of 2 MB instead of 16: at rest the core needs about 15 MB less, under load 70.
become('appliance/main.ts', process.argv.slice(2), ['--max-semi-space-size=2'])
