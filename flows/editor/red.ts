/** The editor's side of Node-RED, as far as it is used: jQuery and one global. */
export interface EditorNode { [key: string]: unknown; _?: (key: string) => string }
type Any = any
declare global { var RED: { validators: { typedInput(options: object): (this: EditorNode, value: unknown, options?: unknown) => unknown }; nodes: { registerType(type: string, definition: Record<string, unknown>): void; eachConfig(each: (node: EditorNode) => void): void; filterNodes(like: { type: string }): EditorNode[] } }; var $: Any }
const editor = globalThis as unknown as { RED: typeof globalThis.RED; $: typeof globalThis.$ }
export const RED = editor.RED
export const $: Any = editor.$

/** A list of the editor grows with its rows; with a height of its own it would hide them. */
export const growing = (list: Any) => { list.closest('.red-ui-editableList-container').css('min-height', '60px') }
