#!/usr/bin/env node
// The mtor command of this checkout: finds Node 24 and runs the CLI in it. Nothing is installed here.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { become } from './child.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
if (!existsSync(join(root, 'node_modules/.bin/node'))) {
  process.stderr.write('✗ mtor is not set up yet.\n  Run: npm start (it brings Node 24 and everything else), or only: node setup/setup.mjs\n')
  process.exit(1)
}
become('appliance/cli.ts', process.argv.slice(2))
