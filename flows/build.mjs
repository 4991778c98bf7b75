#!/usr/bin/env node
// node flows/build.mjs [--force]: makes dist/ of the sources: one CommonJS file and one page for the editor per node,
// help and messages in every language, icons. Quick, and does nothing where dist/ is of these very sources.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const dist = join(here, 'dist')
const stampFile = join(dist, 'sources.sha256')
const LANGUAGES = ['en-US', 'de']
/** What the sources are: these folders, and the contracts that are bundled. */
const SOURCES = ['lib', 'nodes', 'editor', 'locales', 'icons'].map((folder) => join(here, folder))
const CONTRACTS = join(here, '../appliance/contracts')

const filesOf = (folder) => readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts')).map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort()

function hashOfSources() {
  const hash = createHash('sha256')
  const files = [...SOURCES.flatMap(filesOf), ...['codes', 'errors', 'topics', 'protocol', 'ids', 'clock'].map((name) => join(CONTRACTS, `${name}.ts`)), join(here, 'package.json'), fileURLToPath(import.meta.url)]
  for (const file of files) hash.update(relative(here, file)).update('\0').update(readFileSync(file)).update('\0')
  return hash.digest('hex')
}

/** True where dist/ is of these sources. */
export const flowsAreCurrent = () => existsSync(stampFile) && readFileSync(stampFile, 'utf8') === hashOfSources()

const escape = (text) => String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')

/** Wide enough for every label in every language on one line; the fields take the rest. */
const LABEL_PX = 150
const REST = `width: calc(100% - ${LABEL_PX + 10}px); box-sizing: border-box`

/** One row of a form. Texts are keys of the messages, filled in by the editor in its language. */
function row(field, prefix) {
  const { name, kind } = field
  const id = `${prefix}${name}`
  const icon = field.icon ?? { realm: 'server', choose: 'comment-o', checkbox: undefined, number: 'clock-o', select: 'list', lines: 'commenting-o', slots: 'sliders', fields: 'sliders' }[kind] ?? 'tag'
  const label = `<label for="${id}" style="width: ${LABEL_PX}px"><i class="fa fa-${icon}"></i> <span data-i18n="common.field.${name}"></span></label>`
  const wrap = (inner) => `<div class="form-row" id="mtor-row-${name}">${inner}</div>`
  switch (kind) {
    case 'note': return `<div class="form-tips" style="margin-bottom: 12px" data-i18n="[html]note.${name}"></div>`
    case 'checkbox': return wrap(`<label style="width: ${LABEL_PX}px"></label><input type="checkbox" id="${id}" style="display: inline-block; width: auto; vertical-align: top"> <label for="${id}" style="width: calc(100% - ${LABEL_PX + 40}px)"><span data-i18n="common.field.${name}"></span></label>`)
    case 'select': return wrap(`${label}<select id="${id}" style="${REST}">${field.options.map((option) => field.raw && option !== '' ? `<option value="${escape(option)}">${escape(option)}</option>` : `<option value="${escape(option)}" data-i18n="common.option.${escape(option === '' ? `${name}None` : option)}"></option>`).join('')}</select>`)
    case 'number': return wrap(`${label}<input type="text" id="${id}" style="width: 120px">${field.unit ? ` <span>${escape(field.unit)}</span>` : ''}`)
    case 'password': return wrap(`${label}<input type="password" id="${id}" style="${REST}">`)
    case 'typed': return wrap(`${label}<input type="text" id="${id}" style="${REST}"><input type="hidden" id="${id}Type">`)
    case 'lines': return wrap(`<label for="mtor-${name}" style="width: auto"><i class="fa fa-${icon}"></i> <span data-i18n="common.field.${name}"></span></label><textarea id="mtor-${name}" rows="${field.rows}" style="width: 100%; box-sizing: border-box" data-i18n="[placeholder]common.placeholder.${name}"></textarea>`)
    case 'slots': case 'fields': return wrap(`<label style="width: auto"><i class="fa fa-${icon}"></i> <span data-i18n="common.field.${name}"></span></label><ol id="mtor-${name}"></ol>`)
    case 'choose': return wrap(`${label}<input type="text" id="${id}" style="width: calc(100% - ${LABEL_PX + 48}px); box-sizing: border-box" autocomplete="off"> <button type="button" class="red-ui-button" id="mtor-choose-${name}" data-i18n="[title]common.choose"><i class="fa fa-caret-down"></i></button>`)
    default: return wrap(`${label}<input type="text" id="${id}" style="${REST}"${field.placeholder ? ` placeholder="${escape(field.placeholder)}"` : ''} autocomplete="off">`)
  }
}

function template(form) {
  const prefix = form.config ? 'node-config-input-' : 'node-input-'
  const name = `<div class="form-row"><label for="${prefix}name" style="width: ${LABEL_PX}px"><i class="fa fa-tag"></i> <span data-i18n="common.field.name"></span></label><input type="text" id="${prefix}name" style="${REST}"></div>`
  return [...form.fields.map((field) => row(field, prefix)), name].join('\n')
}

const script = (type, attributes, content) => `<script type="${type}"${attributes}>\n${content}\n</script>\n`

/** @returns {Promise<Map<string, string | Buffer>>} every file of dist/ by its path */
async function make() {
  const { build } = await import('esbuild')
  const files = new Map()
  const common = { bundle: true, write: false, legalComments: 'none', logLevel: 'warning', absWorkingDir: here }
  const bundle = async (options) => (await build({ ...common, ...options })).outputFiles[0].text
  const cjs = (file) => bundle({ entryPoints: [file], format: 'cjs', platform: 'node', target: 'node20', external: ['mqtt'], define: { 'import.meta.dirname': '__dirname' } })
  const messages = Object.fromEntries(LANGUAGES.map((language) => [language, JSON.parse(readFileSync(join(here, 'locales', language, 'messages.json'), 'utf8'))]))
  const help = (type, language) => readFileSync(join(here, 'locales', language, `${type}.md`), 'utf8').trim()

  const nodes = Object.keys(JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'))['node-red'].nodes)
  await Promise.all(nodes.map(async (type) => {
    const folder = `./nodes/${type.slice('mtor-'.length)}`
    const [runtime, data, page] = await Promise.all([
      cjs(`${folder}/index.ts`),
      bundle({ entryPoints: [`${folder}/form.ts`], format: 'esm', platform: 'node', target: 'node20' }),
      bundle({ stdin: { contents: `import { registerForm } from './editor/register.ts'\nimport { form } from '${folder}/form.ts'\nregisterForm(form)`, resolveDir: here, loader: 'ts' }, format: 'iife', platform: 'browser', target: 'es2020', minify: true }),
    ])
    const { form } = await import(`data:text/javascript;base64,${Buffer.from(data).toString('base64')}`)
    files.set(`${type}.cjs`, runtime)
    files.set(`${type}.html`, script('text/html', ` data-template-name="${type}"`, template(form)) + script('text/markdown', ` data-help-name="${type}"`, help(type, 'en-US')) + script('text/javascript', '', page.trim()))
    for (const language of LANGUAGES) {
      files.set(`locales/${language}/${type}.json`, JSON.stringify({ common: messages[language].common, ...messages[language][type] }))
      if (language !== 'en-US') files.set(`locales/${language}/${type}.html`, script('text/markdown', ` data-help-name="${type}"`, help(type, language)))
    }
  }))
  files.set('stop-worker.cjs', await cjs('./nodes/stop/worker.ts'))
  for (const icon of readdirSync(join(here, 'icons'))) files.set(`icons/${icon}`, readFileSync(join(here, 'icons', icon)))
  return files
}

/** Builds dist/ where its sources have changed. A Node-RED that reads it meanwhile sees each file old or new, never half. */
export async function buildFlows({ force = false } = {}) {
  if (!force && flowsAreCurrent()) return false
  const hash = hashOfSources()
  const files = await make()
  for (const [name, content] of files) {
    const file = join(dist, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(`${file}.${process.pid}`, content)
    renameSync(`${file}.${process.pid}`, file)
  }
  for (const file of filesOf(dist)) if (!files.has(relative(dist, file).replaceAll('\\', '/')) && file !== stampFile && !/\.\d+$/.test(file)) rmSync(file)
  writeFileSync(stampFile, hash)
  return true
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const built = await buildFlows({ force: process.argv.includes('--force') })
  process.stderr.write(built ? '✓ flows/dist built\n' : '✓ flows/dist is of these sources\n')
}
