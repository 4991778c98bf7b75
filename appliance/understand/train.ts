/** Child process of the proposer: corpus as JSON on stdin, trained classifier as JSON on stdout. */
import { text } from 'node:stream/consumers'
import { Nlu } from './nlu.ts'

const nlu = await Nlu.train(JSON.parse(await text(process.stdin)))
process.stdout.write(JSON.stringify(nlu.toJSON()))
