import { TASK_NAMES, type TaskName } from '../port.ts'

/** One group of workers for each use of the accelerator: what hangs in one leaves the others alone. */
export const GROUP_NAMES = ['vision', 'text', 'general', 'ears', 'voice'] as const
export type GroupName = (typeof GROUP_NAMES)[number]

export const GROUP_OF_TASK: Readonly<Record<TaskName, GroupName>> = {
  detect: 'vision',
  read: 'text',
  tensor: 'general',
  normality: 'general',
  keyword: 'general',
  transcribe: 'ears',
  speak: 'voice',
}

/** False for what another process loads (speech). */
export const isTask = (name: string): name is TaskName => (TASK_NAMES as readonly string[]).includes(name)
