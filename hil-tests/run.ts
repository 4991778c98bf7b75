import { join } from 'node:path'
import { exit, main } from '../bench/harness.ts'

exit(await main(join(import.meta.dirname, 'campaigns'), 'campaign'))
