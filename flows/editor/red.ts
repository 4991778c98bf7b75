/** The editor's side of Node-RED, as far as it is used: jQuery and one global. */
export interface EditorNode { [key: string]: unknown; _?: (key: string) => string }
type Any = any
declare global { var RED: { nodes: { registerType(type: string, definition: Record<string, unknown>): void } }; var $: Any }
const editor = globalThis as unknown as { RED: typeof globalThis.RED; $: typeof globalThis.$ }
export const RED = editor.RED
export const $: Any = editor.$
