import { join } from 'node:path'
import type { Clock } from '../contracts/clock.ts'
import type { Instant } from '../contracts/envelope.ts'
import { makeBoxReader, type ThermalZones } from './box.ts'
import { makeCommandSkill } from './command.ts'
import { makeDialogueSkill, type Canceller } from './dialogue.ts'
import { makeDriveSkill } from './drive.ts'
import { makeHelpSkill, type HelpEntry } from './help.ts'
import { makeLightSkill } from './light.ts'
import { makeModesSkill, type ModeSwitch } from './modes.ts'
import { makeNodesSkill, type NodeSummary } from './nodes.ts'
import { makeNotFittedSkill } from './not-fitted.ts'
import { makeNotesSkill } from './notes.ts'
import { NotesFile } from './notes-file.ts'
import type { ChildIntents, Skill } from './port.ts'
import { makeReadingsSkill, type DeviceStateReader } from './readings.ts'
import { makeSequencesSkill, type Sequences } from './sequences.ts'
import { makeSpeechSkill, type SkillVoice } from './speech.ts'
import { makeStopSkill } from './stop.ts'
import { makeSystemSkill } from './system.ts'
import { makeTimeSkill } from './time.ts'
import { makeTimerSkill } from './timer.ts'
import type { DurableValues } from './timers.ts'
import { makeVisionSkill, type SkillEyes } from './vision.ts'

export { isNotFitted } from './not-fitted.ts'
export type { ChildIntents, Skill, SkillContext, SkillResult } from './port.ts'
export type { Canceller, DeviceStateReader, DurableValues, HelpEntry, ModeSwitch, NodeSummary, Sequences, SkillEyes, SkillVoice }

/** What the skills need of the rest of the appliance. */
export interface SkillsDeps {
  clock: Clock
  node: string
  /** The hub's: knows the count of boots. */
  now(): Instant
  stateDir: string
  values: DurableValues
  deviceState: DeviceStateReader
  nodes(): readonly NodeSummary[] | Promise<readonly NodeSummary[]>
  guard: ModeSwitch
  canceller: Canceller
  children: ChildIntents
  sequences: Sequences
  /** Every type with sentences that mean it. */
  examples(): readonly HelpEntry[]
  /** The sentence that was spoken last. */
  lastSpoken(): string | undefined
  /** Says something without being asked; called from timers, some of them at once after the start. */
  announce(text: string): void
  /** Says and asks for programs. */
  voice: SkillVoice
  /** Left out: no camera is fitted. */
  eyes?: SkillEyes | undefined
  thermalZones?: ThermalZones
}

/** All skills: every type of INTENTS is served by exactly one. */
export function makeSkills(deps: SkillsDeps): Skill[] {
  const box = makeBoxReader({ clock: deps.clock, diskPath: deps.stateDir, ...(deps.thermalZones ? { thermalZones: deps.thermalZones } : {}) })
  return [
    makeDriveSkill(),
    makeLightSkill(),
    makeStopSkill(),
    makeReadingsSkill({ deviceState: deps.deviceState, box }),
    makeSystemSkill({ box }),
    makeNodesSkill(deps),
    makeTimeSkill(deps),
    makeTimerSkill(deps),
    makeNotesSkill({ file: new NotesFile(join(deps.stateDir, 'notes.jsonl')), now: deps.now }),
    makeSequencesSkill(deps),
    makeModesSkill(deps),
    makeHelpSkill(deps),
    makeDialogueSkill(deps),
    makeSpeechSkill(deps),
    makeVisionSkill(deps),
    makeCommandSkill(),
    makeNotFittedSkill(),
  ]
}
