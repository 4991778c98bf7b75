import { appendFileSync } from 'node:fs'
import { connectAsync } from 'mqtt'
import { systemClock as clock } from '../../appliance/contracts/clock.ts'

/** A client of the bus that hears itself: node echo-client.ts URL ROOT LOGFILE, started by EchoLoad; ends with its parent. */
const PERIOD_MS = 20
const [url = '', root = '', logFile = ''] = process.argv.slice(2)
const topic = `${root}/app/echo`
let lines: string[] = []
const flush = () => { if (lines.length > 0) appendFileSync(logFile, `${lines.join('\n')}\n`); lines = [] }

const client = await connectAsync(url, { clientId: 'echo', reconnectPeriod: 100 })
client.on('error', () => { /* The library connects again. */ })
client.on('message', (_, payload) => {
  const at = Number(payload.toString())
  lines.push(JSON.stringify({ at, ms: clock.monoMs() - at }))
  if (lines.length >= 100) flush()
})
await client.subscribeAsync(topic)
const timer = setInterval(() => { client.publish(topic, String(clock.monoMs())) }, PERIOD_MS)
process.on('disconnect', () => {
  clearInterval(timer)
  flush()
  client.end(true, () => process.exit(0))
})
process.send?.('connected')
