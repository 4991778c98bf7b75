import test from 'ava'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { hashPassword } from '../../appliance/bus/password.ts'
import type { SystemEvent } from '../../appliance/contracts/events.ts'
import { ARTEFACTS, FlowEditor, openBrowser } from '../resources/browser.ts'
import { FlowBench, topics } from '../resources/flows.ts'

// A person at the flow editor, with mouse and keyboard, before a box that hears and speaks. Each step leaves a picture.
const NAME = 'anna', PASSWORD = 'open-sesame'
const told: SystemEvent[] = []
let flows: FlowBench, browser: Browser, editor: FlowEditor
test.before(async () => {
  const clients = [{ username: NAME, role: 'operator', passwordHash: await hashPassword(PASSWORD, { N: 1024 }) }]
  ;[flows, browser] = await Promise.all([FlowBench.open({ settings: { bus: { clients, anonymousRole: 'operator' } } }), openBrowser()])
  flows.client.on('message', (topic, payload) => { if (topic.endsWith('/flows') && topic.includes('/event/')) told.push(JSON.parse(payload.toString()) as SystemEvent) })
  await flows.client.subscribeAsync(`${topics.root}/event/+/flows`)
  editor = await FlowEditor.open(browser, (await flows.status()).url!)
})
test.after.always(async () => {
  await browser?.close()
  await flows?.close()
})

/** Ids on the canvas of what the person has drawn. */
let define: string, entry: string, result: string

test.serial('EDIT-001 a wrong password is refused, and told; the right one opens an empty flow, with the nodes of the appliance in front', async (t) => {
  const { page } = editor
  await editor.login(NAME, 'open-says-me')
  await page.locator('#node-dialog-login-failed').waitFor()
  t.like(await flows.until('the refusal is told', () => told.find(({ name }) => name === 'login.refused')), { severity: 'warning', code: 'UNAUTHORISED' })
  await editor.shot('01-refused')
  await editor.login(NAME, PASSWORD)
  await editor.ready()
  await editor.shot('02-open')
  // Of the refusal a browser makes an error, rightly.
  t.deepEqual(editor.errors.splice(0).filter((error) => !/40[13]/.test(error)), [])
  t.is((await page.locator('#red-ui-workspace-tabs .red-ui-tab.active').innerText()).trim(), 'Flow 1')
  t.is((await page.locator('#red-ui-palette .red-ui-palette-header:visible').first().innerText()).trim(), 'MTOR')
  t.is((await flows.status()).deploy, undefined, 'what it opens with is no deploy')
})

test.serial('EDIT-002 intent define: the form marks what is lacking, and takes a sentence with a slot', async (t) => {
  const { page } = editor
  define = await editor.place('mtor-intent-define', 140, 100)
  await editor.edit(define)
  // The only realm there is has been chosen by itself.
  t.is(await page.locator('#node-input-realm option:checked').innerText(), 'this appliance')
  t.deepEqual(await editor.marked(), ['intentType', 'title'])
  await editor.shot('03-define-empty')
  await page.fill('#node-input-intentType', 'Airlock!')
  await page.fill('#node-input-title', 'Open the airlock')
  t.deepEqual(await editor.marked(), ['intentType'])
  await page.fill('#node-input-intentType', 'airlock.open')
  await page.fill('#mtor-sentences', 'open [the] airlock\nopen [the] {side} airlock')
  await page.locator('#mtor-row-slots .red-ui-editableList-addButton').click()
  const slot = page.locator('#mtor-slots li').last()
  await slot.getByPlaceholder('name, such as side').fill('side')
  t.is(await slot.locator('select option:checked').innerText(), 'one of some words')
  await editor.done()
  t.true(await editor.mark(define).isVisible(), 'a choice without its words')
  await editor.edit(define)
  await slot.getByPlaceholder('what may be said').fill('port, starboard')
  await slot.getByPlaceholder('question').fill('Which side?')
  t.deepEqual(await editor.marked(), [])
  await editor.shot('04-define')
  await editor.done()
  t.false(await editor.mark(define).isVisible())
})

test.serial('EDIT-003 intent in, a function and intent result are dragged from the palette and wired; the drop-downs know what the appliance and the canvas have', async (t) => {
  entry = await editor.place('mtor-intent-in', 140, 200)
  const work = await editor.place('function', 340, 200)
  result = await editor.place('mtor-intent-result', 540, 200)
  const debug = await editor.place('debug', 540, 280)

  await editor.edit(entry)
  const choices = await editor.choices('intentType')
  const offered = await choices.locator('li').allInnerTexts()
  t.true(offered.some((text) => text.startsWith('airlock.open') && text.includes('Open the airlock')), offered.join())
  t.true(offered.some((text) => text.startsWith('chat.ask')), offered.join())
  t.false(offered.some((text) => text.startsWith('drive.move')), 'what the appliance does itself is not given to flows')
  await editor.shot('05-intent-in')
  await choices.locator('li', { hasText: 'airlock.open' }).click()
  await editor.done()

  await editor.edit(work)
  await editor.code("msg.say = `The ${msg.payload.side} airlock is open.`;\nreturn msg;")
  await editor.shot('06-function')
  await editor.done()

  await editor.edit(result)
  await editor.typed('say', 'msg.', 'say')
  await editor.shot('07-intent-result')
  await editor.done()

  await editor.wire(entry, 1, work)
  await editor.wire(work, 1, result)
  await editor.wire(work, 1, debug)
  for (const id of [define, entry, work, result, debug]) t.false(await editor.mark(id).isVisible(), id)
  await editor.shot('08-wired')
})

test.serial('EDIT-004 deployed, the sentence is learned; spoken, it runs the flow: the message is in the debug sidebar, and the box answers', async (t) => {
  await editor.deploy()
  await editor.status(define).filter({ hasText: 'learned' }).waitFor()
  await editor.shot('09-learned')
  t.like((await flows.status()).deploy, { author: NAME })
  const heard = await flows.say('computer. open the port airlock')
  t.like(heard.find(({ type, state }) => type === 'airlock.open' && state === 'succeeded'), { say: 'The port airlock is open.' }, JSON.stringify(heard))
  await editor.debug.first().waitFor()
  t.regex(await editor.debug.first().innerText(), /side:\s*"port"/)
  t.is(await editor.debug.count(), 1)
  await editor.shot('10-spoken')
  t.is(flows.said.at(-1), 'The port airlock is open.')
})

test.serial('EDIT-005 a sentence that is taken says so in the status of its node, and the others stay learned', async (t) => {
  const { page } = editor
  const taken: string[] = []
  for (const sentence of ['stop', 'what time is it']) {
    const id = await editor.place('mtor-intent-define', 140, 360 + 80 * taken.length)
    await editor.edit(id)
    await page.fill('#node-input-intentType', `taken.number${taken.push(id)}`)
    await page.fill('#node-input-title', 'Taken')
    await page.fill('#mtor-sentences', sentence)
    await editor.done()
  }
  await editor.deploy()
  for (const id of taken) await editor.status(id).filter({ hasText: /^SENTENCE_TAKEN: / }).waitFor()
  await editor.shot('11-taken')
  t.is(await editor.status(define).textContent(), 'sentences learned: 2')
})

test.serial('EDIT-006 the help of a node is in the sidebar, with its example', async (t) => {
  await editor.edit(define)
  const help = await editor.help()
  t.deepEqual(await help.locator('h3').allInnerTexts(), ['Details', 'Example'])
  t.regex(await help.innerText(), /Say: .Computer, open the port airlock\../)
  t.true(await help.locator('code').count() > 5)
  await editor.shot('12-help')
  await editor.done()
  t.deepEqual(editor.errors, [], 'of all that was done so far')
})

test.serial('EDIT-007 to a browser that asks for German the nodes speak German', async (t) => {
  const german = await FlowEditor.open(browser, (await flows.status()).url!, { locale: 'de-DE' })
  await german.login(NAME, PASSWORD)
  await german.ready()
  await german.edit(define)
  const { common: { field } } = JSON.parse(readFileSync(join(import.meta.dirname, '../../flows/locales/de/messages.json'), 'utf8')) as { common: { field: Record<string, string> } }
  const labels = (await german.page.locator('.red-ui-tray .form-row > label:visible').allInnerTexts()).map((text) => text.trim()).filter((text) => text !== '')
  t.deepEqual(labels, ['realm', 'intentType', 'title', 'sentences', 'slots', 'actuates', 'hazardous', 'repeatable', 'deadlineS', 'name'].map((name) => field[name]!))
  t.true((await (await german.help()).innerText()).includes('Beispiel'))
  await german.shot('13-german')
  await german.close()
  t.log(`pictures of every step: ${ARTEFACTS}`)
})
