import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContext, type Locator, type Page } from 'playwright-core'

/** Of Debian. Nothing of it goes out to a network. */
const CHROMIUM = { executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] }
/** What was seen, for people: kept by whoever runs the tests. */
export const ARTEFACTS = join(import.meta.dirname, '../../.cache/artefacts/flow-editor')
/** A slow machine with a model at work beside it. */
const PATIENCE_MS = 20_000

export const openBrowser = (): Promise<Browser> => chromium.launch(CHROMIUM)

/** The part of Node-RED's own interface in the page that is read here. */
declare const RED: { nodes: { filterNodes(like: object): { id: string }[]; eachConfig(each: (node: { id: string; type: string }) => void): void } }

/** One person at the flow editor, with mouse and keyboard. */
export class FlowEditor {
  readonly page: Page
  readonly #context: BrowserContext
  /** What the page itself reported as wrong. */
  readonly errors: string[] = []

  private constructor(context: BrowserContext, page: Page) {
    this.#context = context
    this.page = page
    page.setDefaultTimeout(PATIENCE_MS)
    page.on('pageerror', (error) => { this.errors.push(error.message) })
    page.on('console', (line) => { if (line.type() === 'error') this.errors.push(`${line.text()} ${line.location().url}`) })
  }

  /** @param locale what the browser asks for, as in Accept-Language */
  static async open(browser: Browser, url: string, options: { locale?: string } = {}): Promise<FlowEditor> {
    mkdirSync(ARTEFACTS, { recursive: true })
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: options.locale ?? 'en-GB' })
    const editor = new FlowEditor(context, await context.newPage())
    await editor.page.goto(url)
    return editor
  }

  async login(username: string, password: string): Promise<void> {
    await this.page.fill('#node-dialog-login-username', username)
    await this.page.fill('#node-dialog-login-password', password)
    await this.page.click('#node-dialog-login-submit')
  }

  /** Resolves once the editor can be worked with. */
  async ready(): Promise<void> {
    await this.page.locator('#red-ui-loading-progress').waitFor({ state: 'hidden' })
    await this.#inPalette('mtor-stop').waitFor({ state: 'attached' })
    await this.page.locator('#red-ui-workspace-chart svg').first().waitFor()
  }

  /** Keeps what is to be seen now. @param name of the file, without .png */
  async shot(name: string, of?: Locator): Promise<void> { await (of ?? this.page).screenshot({ path: join(ARTEFACTS, `${name}.png`) }) }

  #inPalette(type: string): Locator { return this.page.locator(`.red-ui-palette-node[data-palette-type="${type}"]`) }
  node(id: string): Locator { return this.page.locator(`[id="${id}"]`) }
  /** What a node shows below itself. */
  status(id: string): Locator { return this.node(id).locator('.red-ui-flow-node-status-label') }
  /** The mark of a node whose settings are not right. */
  mark(id: string): Locator { return this.node(id).locator('.red-ui-flow-node-error') }
  /** What the debug sidebar shows. */
  get debug(): Locator { return this.page.locator('.red-ui-debug-msg') }
  /** The form that is open. */
  get form(): Locator { return this.page.locator('.red-ui-editor .red-ui-tray-body') }

  /** Drags a node from the palette to a point of the canvas. @returns its id */
  async place(type: string, xPx: number, yPx: number): Promise<string> {
    const { page } = this
    const known = await this.#idsOf(type)
    await this.#inPalette(type).scrollIntoViewIfNeeded()
    await this.#inPalette(type).hover()
    await page.mouse.down()
    const canvas = (await page.locator('#red-ui-workspace-chart').boundingBox())!
    await page.mouse.move(canvas.x + xPx, canvas.y + yPx, { steps: 8 })
    await page.mouse.up()
    const placed = await page.waitForFunction(({ type, known }) => RED.nodes.filterNodes({ type }).map(({ id }) => id).find((id) => !known.includes(id)), { type, known })
    const id = await placed.jsonValue() as string
    await this.node(id).waitFor()
    return id
  }

  #idsOf(type: string): Promise<string[]> { return this.page.evaluate((type) => RED.nodes.filterNodes({ type }).map(({ id }) => id), type) }

  /** Draws a wire from an output (counted from 1) to the input of another node. */
  async wire(from: string, output: number, to: string): Promise<void> {
    const { page } = this
    const wires = page.locator('.red-ui-flow-link-path'), before = await wires.count()
    await this.node(from).locator('.red-ui-flow-port-output').nth(output - 1).locator('.red-ui-flow-port').hover({ force: true })
    await page.mouse.down()
    const end = (await this.node(to).locator('.red-ui-flow-port-input .red-ui-flow-port').boundingBox())!
    await page.mouse.move(end.x + end.width / 2, end.y + end.height / 2, { steps: 8 })
    await page.mouse.up()
    await wires.nth(before).waitFor({ state: 'attached' })
  }

  /** Opens a node's form with a double click; resolves once it stands still. */
  async edit(id: string): Promise<void> {
    // A person whose double click fell into a redrawing of the canvas clicks again.
    const opened = () => this.page.locator('#node-dialog-ok').waitFor({ timeout: 5_000 }).then(() => true, () => false)
    do await this.node(id).locator('.red-ui-flow-node').first().dblclick({ force: true }); while (!await opened())
    await this.settled()
  }

  /** Resolves once the form has come to a stand: a click would be taken. */
  async settled(): Promise<void> { await this.page.locator('#node-dialog-ok').click({ trial: true }) }

  async done(): Promise<void> {
    await this.page.click('#node-dialog-ok')
    await this.page.locator('.red-ui-tray').waitFor({ state: 'detached' })
  }

  /** Fields of the open form whose values are marked as wrong. */
  async marked(): Promise<string[]> {
    // A value counts once its field is left.
    await this.page.evaluate('document.activeElement?.blur()')
    return this.page.locator('.red-ui-tray .input-error').evaluateAll((fields) => fields.map(({ id }) => id.replace(/^node-input-/, '')))
  }

  /** Writes the code of a function node whose form is open. */
  async code(text: string): Promise<void> {
    await this.page.locator('#node-input-func-editor .monaco-editor .view-lines').click()
    await this.page.keyboard.press('Control+A')
    await this.page.keyboard.insertText(text)
  }

  /** Chooses a type of value, such as "msg.", and gives the value. */
  async typed(field: string, type: string, value: string): Promise<void> {
    const row = this.page.locator(`#mtor-row-${field}`)
    await row.locator('.red-ui-typedInput-type-select').click()
    await this.page.locator('.red-ui-typedInput-options:visible a', { hasText: type }).click()
    await row.locator('.red-ui-typedInput-input-wrap input').fill(value)
    await this.page.keyboard.press('Tab')
  }

  /** The list that a field offers, opened with its button. */
  async choices(field: string): Promise<Locator> {
    await this.page.click(`#mtor-choose-${field}`)
    const list = this.page.locator('.red-ui-autoComplete-container:visible, .red-ui-menu:visible').last()
    await list.locator('li, .red-ui-treeList-label').first().waitFor()
    return list
  }

  /** Opens the help of the node whose form is open, as the sidebar shows it. */
  async help(): Promise<Locator> {
    await this.page.locator('.red-ui-tray-footer .fa-book').click()
    const help = this.page.locator('.red-ui-help:visible').last()
    await help.waitFor()
    return help
  }

  /** Deploys; resolves once the editor says that it is done. */
  async deploy(): Promise<void> {
    await this.page.click('#red-ui-header-button-deploy')
    // While it deploys, the button turns and everything is shaded.
    await this.page.locator('#red-ui-header-button-deploy.disabled .red-ui-deploy-button-content:visible').waitFor()
    await this.page.locator('#red-ui-header-shade').waitFor({ state: 'hidden' })
  }

  async close(): Promise<void> { await this.#context.close() }
}
