/** What a node's form in the editor consists of. Pure data: the build makes the page of it, and the browser fills it. */
export interface Condition { field: string; is: readonly (string | boolean)[]; and?: Condition }
interface Base {
  name: string
  /** Shown only while another field has one of these values. */
  when?: Condition
  icon?: string
}
export type Field = Base & (
  | { kind: 'realm'; optional?: boolean }
  | { kind: 'tls' }
  | { kind: 'text'; value?: string; required?: boolean; pattern?: string; placeholder?: string }
  | { kind: 'password'; credential: true }
  | { kind: 'username'; credential: true }
  | { kind: 'number'; value?: number | ''; minimum?: number; maximum?: number; required?: boolean; unit?: string; /** One of these must have a value. */ needsOneOf?: readonly string[] }
  | { kind: 'checkbox'; value: boolean }
  | { kind: 'select'; value: string; options: readonly string[]; /** Options are codes, shown as they are. */ raw?: boolean }
  /** Free text with what the running appliance offers. */
  | { kind: 'choose'; from: Choices; value?: string; /** Always, or while another field has one of these values. */ required?: boolean | Condition; pattern?: string }
  | { kind: 'typed'; value: string; valueType: string; types: readonly string[] }
  | { kind: 'fields'; of: 'intentType' | 'command' }
  | { kind: 'lines'; rows: number }
  | { kind: 'slots' }
  | { kind: 'note' }
)
export type Choices = 'types' | 'handled' | 'devices' | 'commands' | 'components' | 'packets' | 'values'

export interface Form {
  type: string
  config?: true
  inputs?: 0 | 1
  outputs?: number
  icon?: string
  fields: readonly Field[]
  /** Which field a node without a name is called by. */
  label?: string
  /** On the right of its tab, as what ends a flow. */
  end?: true
}
