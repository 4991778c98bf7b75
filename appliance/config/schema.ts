import Type, { type Static, type TSchema } from 'typebox'
import { NodeName } from '../contracts/envelope.ts'
import { MODES, ROLES } from '../contracts/intents.ts'

/** A part of the configuration: no unknown keys, every key has a default or is optional. */
const part = <P extends Record<string, TSchema>>(properties: P, description: string) => Type.Object(properties, { additionalProperties: false, description })
const ms = (value: number, description: string, minimum = 1, maximum = 24 * 3600_000) => Type.Number({ default: value, minimum, maximum, description: `${description}, ms` })

export const TlsConfig = part({
  cert: Type.String({ description: 'PEM file of the certificate' }),
  key: Type.String({ description: 'PEM file of its key' }),
  ca: Type.Optional(Type.String({ description: 'PEM file of the authority that signs client certificates; with it, a client certificate is an identity: its CN is looked up in bus.clients' })),
}, 'TLS files. Without them a listener beyond loopback makes its own self-signed certificate in the state folder')

export const ListenerConfig = part({
  kind: Type.Enum(['tcp', 'ws'], { description: 'MQTT over TCP or over WebSocket' }),
  host: Type.String({ default: '127.0.0.1' }),
  port: Type.Integer({ minimum: 0, maximum: 65535, description: '0 takes a free port' }),
  tls: Type.Optional(Type.Union([TlsConfig, Type.Boolean()], { description: 'Left out: on beyond loopback, off on loopback. false beyond loopback is allowed but announced as a warning' })),
}, 'One MQTT listener')

export const BusClientConfig = part({
  username: Type.String({ minLength: 1, maxLength: 64 }),
  passwordHash: Type.Optional(Type.String({ description: 'Made with: mtor config hash-password (scrypt)' })),
  role: Type.Enum([...ROLES]),
}, 'One identity that may connect')

export const BusConfig = part({
  listeners: Type.Array(ListenerConfig, { default: [{ kind: 'tcp', host: '127.0.0.1', port: 1883 }, { kind: 'ws', host: '127.0.0.1', port: 9001 }] }),
  clients: Type.Array(BusClientConfig, { default: [] }),
  anonymousRole: Type.Optional(Type.Enum([...ROLES], { description: 'Role of a client without a name, on loopback only. Left out: operator while bus.clients is empty, else none' })),
  limits: part({
    maxConnections: Type.Integer({ default: 100, minimum: 1, maximum: 10_000 }),
    maxPacketBytes: Type.Integer({ default: 65_536, minimum: 256, maximum: 16 * 1024 * 1024, description: 'A larger packet is answered TOO_LARGE and the client is disconnected' }),
    messagesPerSecond: Type.Integer({ default: 20_000, minimum: 1, description: 'Per client, sustained; beyond it messages are answered TOO_FAST' }),
    burst: Type.Integer({ default: 40_000, minimum: 1 }),
    connectTimeoutMs: ms(10_000, 'A socket that has not sent CONNECT by then is closed', 100, 60_000),
  }, 'Limits at the socket, per client'),
  drainTimeoutMs: ms(300, 'How long a subscriber that does not read may hold back others', 10, 500),
}, 'The embedded MQTT broker')

export const JournalConfig = part({
  file: Type.String({ default: 'journal.sqlite', description: 'In the state folder unless absolute' }),
  maxFinished: Type.Integer({ default: 100_000, minimum: 100, description: 'Finished intents beyond this are moved to the archive' }),
  archiveMaxBytes: Type.Integer({ default: 256 * 1024 * 1024, minimum: 1024 * 1024, description: 'The oldest archive file is dropped beyond this' }),
}, 'The journal')

export const DispatchConfig = part({
  maxUnfinished: Type.Integer({ default: 10_000, minimum: 1, description: 'More than this many unfinished intents: BUSY' }),
  concurrency: Type.Integer({ default: 16, minimum: 1, maximum: 256, description: 'Intents carried out at once; one per device' }),
  retryBaseMs: ms(250, 'First pause before a retry; doubles each time'),
}, 'Dispatch')

export const GuardConfig = part({
  arming: Type.Enum(['automatic', 'required'], { default: 'automatic', description: 'required: nothing moves until "arm the drive" was confirmed' }),
  initialMode: Type.Enum([...MODES], { default: 'normal' }),
  stopSocket: Type.String({ default: 'stop.sock', description: 'UNIX datagram socket of the emergency stop, in the run folder unless absolute' }),
}, 'Modes, arming, emergency stop')

export const DeviceConfig = part({
  id: Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' }),
  driver: Type.Enum(['rover']),
  port: Type.String({ description: '"simulated", or the path of a serial port' }),
  baudRate: Type.Integer({ default: 115_200, minimum: 1200, maximum: 4_000_000 }),
}, 'One device')

export const SpeechConfig = part({
  enabled: Type.Boolean({ default: true }),
  engine: Type.Enum(['auto', 'vosk', 'pocketsphinx'], { default: 'auto', description: 'auto: the first that works here' }),
  device: Type.String({ default: 'auto', description: 'ALSA capture device such as hw:1; auto: the first capture card; none: only files' }),
  channels: Type.Optional(Type.Integer({ minimum: 1, maximum: 8, description: 'Channels to capture; left out: 1' })),
  wakeWord: Type.Enum(['computer'], { default: 'computer' }),
  endSilenceMs: ms(240, 'Silence that ends a sentence that is complete', 100, 2_000),
  maxSilenceMs: ms(900, 'Silence that ends a sentence that may go on', 200, 5_000),
  answerWindowMs: ms(8_000, 'After wake or question, how long to wait for speech', 1_000, 60_000),
  speak: part({
    engine: Type.Enum(['auto', 'flite', 'espeak-ng', 'none'], { default: 'auto' }),
    voice: Type.String({ default: 'rms', pattern: '^[A-Za-z0-9_+-]{1,32}$' }),
    device: Type.String({ default: 'auto', description: 'ALSA playback device; auto: the first playback card; none: silent; file:PATH: WAV files into that folder' }),
    earcons: Type.Boolean({ default: true }),
  }, 'Replies'),
  keepAudio: part({
    enabled: Type.Boolean({ default: false }),
    directory: Type.String({ default: 'audio', description: 'In the state folder unless absolute' }),
  }, 'Audio is kept nowhere unless the operator turns it on'),
}, 'Hearing and speaking')

export const UnderstandConfig = part({
  directories: Type.Array(Type.String(), { default: [], description: 'Folders with further intent files (YAML)' }),
  proposals: Type.Boolean({ default: true, description: 'Ask "Did you mean …?" for what no template matches' }),
  answerTimeoutMs: ms(15_000, 'An open question is dropped after this', 1_000, 300_000),
}, 'Text to intent')

export const Config = part({
  realm: Type.String({ ...NodeName, default: 'home' }),
  node: Type.Optional(NodeName),
  stateDir: Type.String({ default: 'state', description: 'Journal, certificates, notes; relative to the folder of this file (without a file: of the project)' }),
  runDir: Type.Optional(Type.String({ description: 'Sockets and links; left out: <stateDir>/run. the path of a UNIX socket has at most 107 bytes' })),
  log: part({ level: Type.Enum(['debug', 'info', 'warn', 'error'], { default: 'info' }) }, 'Log'),
  bus: BusConfig,
  journal: JournalConfig,
  dispatch: DispatchConfig,
  guard: GuardConfig,
  devices: Type.Array(DeviceConfig, { default: [{ id: 'rover', driver: 'rover', port: 'simulated', baudRate: 115_200 }] }),
  speech: SpeechConfig,
  understand: UnderstandConfig,
  sequences: Type.Record(Type.String({ pattern: '^[a-z0-9 ]{1,40}$' }), Type.Array(part({
    type: Type.String(), slots: Type.Record(Type.String(), Type.Unknown(), { default: {} }),
  }, 'One step'), { minItems: 1, maxItems: 50 }), { default: { square: [1, 2, 3, 4].flatMap(() => [{ type: 'drive.move', slots: { distanceM: 0.5 } }, { type: 'drive.turn', slots: { angleDeg: 90 } }]) } }),
}, 'Configuration of one node')

export type Config = Static<typeof Config> & { node: string; runDir: string }
export type BusConfig = Static<typeof BusConfig>
export type ListenerConfig = Static<typeof ListenerConfig>
export type JournalConfig = Static<typeof JournalConfig>
export type DispatchConfig = Static<typeof DispatchConfig>
export type GuardConfig = Static<typeof GuardConfig>
export type DeviceConfig = Static<typeof DeviceConfig>
export type SpeechConfig = Static<typeof SpeechConfig>
export type UnderstandConfig = Static<typeof UnderstandConfig>
