import test from 'ava'
import { Parser } from '@asyncapi/parser'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TOPICS } from '../appliance/bus/permissions.ts'
import { asyncApiDocument } from '../appliance/contracts/asyncapi.ts'
import { CODES } from '../appliance/contracts/codes.ts'
import { INTENTS, ROLES } from '../appliance/contracts/intents.ts'
import { REFERENCE_DIR, referencePages } from './reference.ts'

for (const [file, text] of Object.entries(referencePages())) {
  test(`docs/reference/${file} is what the schemas say now (else: npm run reference)`, async (t) => {
    t.is(await readFile(join(REFERENCE_DIR, file), 'utf8'), text)
  })
}

test('the AsyncAPI parser finds no error in the document', async (t) => {
  const { document, diagnostics } = await new Parser().parse(JSON.stringify(asyncApiDocument(TOPICS)))
  t.deepEqual(diagnostics.filter((one) => one.severity === 0).map((one) => `${one.path.join('/')}: ${one.message}`), [])
  t.is(document?.version(), '3.0.0')
})

test('the AsyncAPI parser refuses the document when a message is missing, so it would notice', async (t) => {
  const broken = asyncApiDocument(TOPICS) as { components: { messages: Record<string, unknown> } }
  delete broken.components.messages.Receipt
  const { diagnostics } = await new Parser().parse(JSON.stringify(broken))
  t.true(diagnostics.some((one) => one.severity === 0))
})

test('every topic the bus knows is described, and none that it does not know', (t) => {
  const { channels } = asyncApiDocument(TOPICS) as { channels: Record<string, { address: string }> }
  const described = Object.values(channels).map(({ address }) => address.replace('mtor/1/{realm}/', '').replaceAll(/\{\w+\}/g, '+'))
  t.deepEqual(described.sort(), TOPICS.map((row) => row.topic).filter((topic) => topic !== 'app/#').sort())
})

test('a role finds its operations by tag: an observer may send nothing', (t) => {
  const { operations } = asyncApiDocument(TOPICS) as { operations: Record<string, { action: string; tags: { name: string }[] }> }
  const of = (role: string, action: string) => Object.values(operations).filter((one) => one.action === action && one.tags.some((tag) => tag.name === role)).length
  t.is(of('observer', 'send'), 0)
  for (const role of ROLES) t.true(of(role, 'receive') > 0, role)
  t.true(of('operator', 'send') > 0)
})

test('every intent type has its slots with units, every code its sentence', (t) => {
  const document = asyncApiDocument(TOPICS) as { components: { schemas: Record<string, { properties?: Record<string, Record<string, unknown>>; enum?: string[] }> } }
  for (const { type } of INTENTS) t.truthy(document.components.schemas[`slots.${type}`], type)
  t.is(document.components.schemas['slots.drive.move']?.properties?.distanceM?.['x-unit'], 'm')
  t.deepEqual(document.components.schemas.Code?.enum, Object.keys(CODES))
})
