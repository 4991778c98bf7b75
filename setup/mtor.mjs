#!/usr/bin/env node
// The mtor command of this checkout: finds Node 24 and runs the CLI in it. Nothing is installed here.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { become } from './child.mjs'
import { root } from './setup.mjs'

if (!existsSync(join(root, 'node_modules/.bin/node'))) {
  process.stderr.write('✗ mtor is not set up yet.\n  Run: npm start (it brings Node 24 and everything else), or only: node setup/setup.mjs\n')
  process.exit(1)
}
become('appliance/cli.ts', process.argv.slice(2))
