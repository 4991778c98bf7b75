#!/usr/bin/env node
// npm start [-- flags of the daemon]: set up, then run the daemon.
import { become, DAEMON_FLAGS } from './child.mjs'
import { setUpOrExit } from './setup.mjs'

await setUpOrExit('start')
become('appliance/main.ts', process.argv.slice(2), DAEMON_FLAGS)
