#!/usr/bin/env node
// node setup/providers.ts [provider …]: which execution providers really run a graph here. Ends with 0 when all that were asked for do.
import { systemClock } from '../appliance/contracts/clock.ts'
import { survey } from '../appliance/inference/providers/survey.ts'

const asked = process.argv.slice(2)
const findings = await survey(asked.length > 0 ? asked : ['tensorrt', 'cuda', 'webgpu', 'cpu'], systemClock)
for (const { provider, works, nodeCounts, loadMs, reason } of findings) {
  const nodes = Object.entries(nodeCounts ?? {}).map(([name, count]) => `${count} on ${name}`).join(', ')
  process.stdout.write(works ? `✓ ${provider}: runs (nodes: ${nodes}; loaded and proven in ${(loadMs! / 1000).toFixed(2)} s)\n` : `✗ ${provider}: ${reason}\n`)
}
process.exitCode = findings.every(({ works }) => works) ? 0 : 1
