// npm run -s versions: what this release is, for `mtor upgrade --check --to FILE` on a node that runs.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PROJECT_DIR } from '../../config/load.ts'
import { OWN_NUMBERS, type Versions } from './versions.ts'

const { version } = JSON.parse(readFileSync(join(PROJECT_DIR, 'package.json'), 'utf8')) as { version: string }
console.log(JSON.stringify({ software: version, ...OWN_NUMBERS } satisfies Versions))
