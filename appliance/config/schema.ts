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

export const PeersConfig = part({
  host: Type.String({ default: '0.0.0.0', description: 'Where this node listens for the others, once it is in a realm. Only members get further than the TLS handshake, and newcomers with a token' }),
  port: Type.Integer({ default: 7717, minimum: 1, maximum: 65535 }),
  address: Type.Optional(Type.String({ description: 'HOST or HOST:PORT where the others reach this node. Left out: host, where it is one address; else the one it comes from when it joins' })),
  heartbeatMs: ms(100, 'Nodes tell each other that they are there this often', 20, 10_000),
  offlineAfterMs: ms(500, 'A node that was not heard for this long is offline', 100, 60_000),
  discovery: Type.Boolean({ default: false, description: 'Announce this node by multicast DNS, for: mtor realm discover. A help to find an address; nobody is trusted for it' }),
  pretend: part({
    protocol: Type.Optional(Type.Integer({ minimum: 1 })), schema: Type.Optional(Type.Integer({ minimum: 1 })), envelope: Type.Optional(Type.Integer({ minimum: 1 })),
  }, 'For tests only: versions that this node tells the others, instead of its release\'s. What it says stays what it is'),
}, 'Links to the other nodes of the realm')

export const RealmModeConfig = part({
  etcd: part({
    binary: Type.String({ default: '/usr/bin/etcd' }),
    clientPort: Type.Integer({ default: 7718, minimum: 1, maximum: 65535 }),
    peerPort: Type.Integer({ default: 7719, minimum: 1, maximum: 65535 }),
    quotaMB: Type.Integer({ default: 512, minimum: 16, maximum: 8_192, description: 'etcd takes no more writes beyond this' }),
    endpoints: Type.Array(Type.String({ pattern: '^https?://' }), { default: [], description: 'Client addresses of an etcd that somebody else runs; then none is started here' }),
  }, 'The etcd of this node, which it starts and watches itself'),
  leaseTtlS: Type.Integer({ default: 2, minimum: 1, maximum: 60, description: 'A node that was not heard for this long has lost its devices and what it was doing' }),
  startWaitMs: ms(10_000, 'The start waits this long for a majority of the nodes, then goes on without', 0, 600_000),
  lineLostMs: ms(700, 'The owner of a device whose line has been dead this long gives it to a node whose line works', 100, 60_000),
  vacantMs: ms(400, 'A node whose own line does not work takes a device that nobody owns only after this', 0, 60_000),
  unreachableMs: ms(3_000, 'A device whose every node has been gone this long is answered DEVICE_UNREACHABLE', 0, 600_000),
  standAloneDevices: Type.Array(Type.String(), { default: [], description: 'Devices, wired to this node alone, that it goes on commanding when it has lost the other nodes' }),
}, 'How this node works while it is in a realm')

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
  learnedWords: Type.Array(part({
    word: Type.String({ pattern: "^[A-Za-z' -]{2,30}$", description: 'As it was taught with: mtor learn word' }),
    does: Type.Enum(['wake', 'event'], { default: 'event', description: 'wake: works like the wake word. event: raises the event keyword of component speech, for flows' }),
  }, 'A word that was taught'), { default: [], description: 'Words that were taught with: mtor learn word' }),
  endSilenceMs: ms(240, 'Silence that ends a sentence that is complete', 100, 2_000),
  maxSilenceMs: ms(900, 'Silence that ends a sentence that may go on', 200, 5_000),
  answerWindowMs: ms(8_000, 'After wake or question, how long to wait for speech', 1_000, 60_000),
  proofPeriodMs: ms(30_000, 'In quiet moments the ears hear a known recording this often, and must hear it right', 500, 3600_000),
  transcriber: Type.String({ default: 'none', pattern: '^[a-z0-9][a-z0-9-]{0,47}$', description: 'Model that hears free speech (notes, log, chat, mail) once more, such as whisper-tiny-en; auto: the best that is there and fast enough on this board; none: the engine alone' }),
  speak: part({
    engine: Type.Enum(['auto', 'flite', 'espeak-ng', 'none'], { default: 'auto' }),
    voice: Type.String({ default: 'rms', pattern: '^[A-Za-z0-9_+-]{1,32}$' }),
    model: Type.String({ default: 'none', pattern: '^[a-z0-9][a-z0-9-]{0,47}$', description: 'Model of a neural voice that is asked first, such as piper-joe-en; auto: the largest that is there and fast enough on this board; none: the engine alone' }),
    device: Type.String({ default: 'auto', description: 'ALSA playback device; auto: the first playback card; none: silent; file:PATH: WAV files into that folder' }),
    earcons: Type.Boolean({ default: true }),
  }, 'Replies'),
  keepAudio: part({
    enabled: Type.Boolean({ default: false }),
    directory: Type.String({ default: 'audio', description: 'In the state folder unless absolute' }),
  }, 'Audio is kept nowhere unless the operator turns it on'),
}, 'Hearing and speaking')

export const InferenceConfig = part({
  modelsDir: Type.String({ default: 'models', description: 'The model store; relative to the folder of the project, so that all nodes on a machine share it' }),
  copyDir: Type.Optional(Type.String({ description: 'Second copy of every model, from which damaged files are repaired; best on another disk. Left out: copy/ in the store' })),
  scrubPeriodMs: ms(24 * 3600_000, 'How often all files of models are hashed again', 1_000, 30 * 24 * 3600_000),
  providers: Type.Array(Type.String(), { default: ['tensorrt', 'cuda', 'webgpu', 'cpu'], description: 'Execution providers in the order in which they are tried' }),
  workers: Type.Integer({ default: 1, minimum: 1, maximum: 16, description: 'Worker processes of each group' }),
  standby: Type.Boolean({ default: false, description: 'A further worker of each group is kept loaded: a hang then costs no cold start' }),
  threads: Type.Integer({ default: 0, minimum: 0, maximum: 64, description: 'Threads of one run; 0: the cores, shared among the workers' }),
  maxRssMB: Type.Integer({ default: 900, minimum: 100, description: 'A worker that takes more is replaced between requests' }),
  maxGpuMB: Type.Optional(Type.Integer({ minimum: 100, description: 'Likewise for GPU memory, where it can be read' })),
  maxQueue: Type.Integer({ default: 64, minimum: 1, maximum: 10_000, description: 'More waiting requests of a group: BUSY' }),
  idleProofMs: ms(5_000, 'A worker with nothing to do proves itself this often', 100, 3600_000),
  models: Type.Record(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,47}$' }), part({
    providers: Type.Optional(Type.Array(Type.String())),
    vote: Type.Optional(Type.Integer({ minimum: 1, maximum: 9 })),
    timeoutMs: Type.Optional(ms(1_000, 'One run at the most', 10)),
  }, 'What differs for one model'), { default: {} }),
}, 'Models and the worker processes that run them')

export const VisionConfig = part({
  camera: Type.String({ default: 'auto', description: 'auto: the first V4L2 camera; none; v4l2:/dev/video0; csi:0 (Jetson); directory:PATH (pictures in turn); rtsp://… or http(s)://… (a still or a stream)' }),
  widthPx: Type.Integer({ default: 1280, minimum: 64, maximum: 8192 }),
  heightPx: Type.Integer({ default: 720, minimum: 64, maximum: 8192 }),
  framesDir: Type.String({ default: 'frames', description: 'Ring of pictures, in the state folder unless absolute' }),
  maxFrames: Type.Integer({ default: 200, minimum: 2, maximum: 100_000, description: 'The oldest picture is dropped beyond this' }),
  detector: Type.String({ default: 'centernet-coco' }),
  reader: Type.String({ default: 'tesseract-eng' }),
  minScore: Type.Number({ default: 0.4, minimum: 0.05, maximum: 0.95, description: 'Less certain objects are not told' }),
  watchPeriodMs: ms(1_000, 'While watching, a picture is looked at this often', 100, 3600_000),
}, 'Seeing')

export const GovernorConfig = part({
  enabled: Type.Boolean({ default: true }),
  periodMs: ms(2_000, 'How often the sensors are read', 100, 60_000),
  thermalDir: Type.String({ default: '/sys/class/thermal', description: 'Where the kernel shows temperatures' }),
  cpuDir: Type.String({ default: '/sys/devices/system/cpu', description: 'Where the kernel shows clocks and throttling' }),
  powerDir: Type.String({ default: '/sys/class/power_supply', description: 'Where the kernel shows supplies and batteries' }),
  steps: Type.Array(part({
    aboveC: Type.Number({ minimum: 0, maximum: 150 }),
    frameRateFactor: Type.Number({ minimum: 0.01, maximum: 1 }),
    sizePx: Type.Optional(Type.Integer({ minimum: 64, maximum: 4096, description: 'Side of the square that the detector looks at' })),
    excludeProviders: Type.Optional(Type.Array(Type.String())),
  }, 'From this temperature on'), { default: [
    { aboveC: 75, frameRateFactor: 0.5 }, { aboveC: 82, frameRateFactor: 0.25, sizePx: 384 }, { aboveC: 88, frameRateFactor: 0.1, sizePx: 256 },
  ] }),
  hysteresisC: Type.Number({ default: 4, minimum: 0.5, maximum: 30, description: 'A step is left this much below where it began' }),
  holdMs: ms(10_000, 'and after it was so for this long', 0),
}, 'Lowers the load of inference before the board throttles')

export const UnderstandConfig = part({
  directories: Type.Array(Type.String(), { default: [], description: 'Folders with further intent files (YAML)' }),
  proposals: Type.Boolean({ default: true, description: 'Ask "Did you mean …?" for what no template matches' }),
  answerTimeoutMs: ms(15_000, 'An open question is dropped after this', 1_000, 300_000),
  readBack: part({
    distanceM: Type.Number({ default: 100, minimum: 0, description: 'Spoken distances beyond this are read back before anything moves, m' }),
    angleDeg: Type.Number({ default: 360, minimum: 0, description: 'The same of angles, degrees' }),
  }, 'Numbers that are read back'),
}, 'Text to intent')

/** No wildcards, nothing of the broker's own, nothing of ours. */
const FOREIGN_PREFIX = '^(?!mtor(/|$))[A-Za-z0-9_-]{1,40}(/[A-Za-z0-9_-]{1,40}){0,3}$'

export const DialectsConfig = part({
  homeAssistant: part({
    enabled: Type.Boolean({ default: false }),
    discoveryPrefix: Type.String({ default: 'homeassistant', pattern: FOREIGN_PREFIX, description: 'As set in the MQTT integration of Home Assistant' }),
  }, 'MQTT discovery of Home Assistant'),
  hermes: part({
    enabled: Type.Boolean({ default: false }),
    siteId: Type.String({ default: 'default', pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'Messages of other sites are not for this box' }),
  }, 'Hermes topics of Rhasspy'),
  wyoming: part({
    enabled: Type.Boolean({ default: false }),
    host: Type.String({ default: '127.0.0.1', description: 'Beyond loopback: the protocol knows no passwords, so that whoever reaches the port may use it; announced as a warning' }),
    port: Type.Integer({ default: 10_700, minimum: 0, maximum: 65535, description: '0 takes a free port' }),
    satellite: Type.Enum(['off', 'rest', 'all'], { default: 'off', description: 'rest: what is said after the wake word and is no sentence of the box goes to the server. all: everything after the wake word goes there at once, and the box obeys its own sentences as well' }),
    handle: Type.Boolean({ default: false, description: 'Texts that clients send are carried out as if they had been said' }),
    maxConnections: Type.Integer({ default: 16, minimum: 1, maximum: 1_000 }),
    maxStreams: Type.Integer({ default: 2, minimum: 1, maximum: 32, description: 'Sounds that are transcribed or searched for the wake word at once; more: BUSY' }),
    eventsPerSecond: Type.Integer({ default: 500, minimum: 10, description: 'Of one connection, sustained; what comes faster is read later' }),
  }, 'Wyoming, the voice protocol of Home Assistant'),
}, 'Languages of other systems, so that their tools work as they are')

export const FlowsConfig = part({
  enabled: Type.Boolean({ default: true }),
  host: Type.String({ default: '127.0.0.1', description: 'Where the editor listens. Beyond loopback only where an operator of bus.clients has a password' }),
  port: Type.Integer({ default: 1880, minimum: 0, maximum: 65535, description: '0 takes a free port' }),
  tls: Type.Optional(Type.Union([TlsConfig, Type.Boolean()], { description: 'As of a listener of the bus: left out, on beyond loopback, off on loopback' })),
  maxMemoryMB: Type.Integer({ default: 300, minimum: 180, maximum: 16_384, description: 'Node-RED is ended beyond this' }),
  functionTimeoutS: Type.Number({ default: 2, minimum: 0.1, maximum: 600, description: 'A function node that computes longer at once is ended with an error' }),
  probePeriodMs: ms(5_000, 'An intent goes through the probe flow this often', 100, 600_000),
  probeTimeoutMs: ms(4_000, 'and must be back within this; twice not: Node-RED is started anew', 100, 60_000),
  goodAfterMs: ms(300_000, 'Flows that ran this long without a crash are good: what is gone back to', 100),
  keepDeploys: Type.Integer({ default: 100, minimum: 5, maximum: 10_000, description: 'Older deploys are dropped, except the last good one' }),
  readable: Type.Array(Type.String(), { default: [], description: 'Further files and folders that flows may read, absolute' }),
  writable: Type.Array(Type.String(), { default: [], description: 'Further files and folders that flows may read and write, absolute; others than <stateDir>/flows/node-red are closed to them' }),
  environment: Type.Record(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]{0,63}$' }), Type.String(), { default: {}, description: 'Environment variables of Node-RED, such as HTTPS_PROXY; of the daemon\'s own it gets only PATH, LANG, LC_ALL and TZ' }),
}, 'Node-RED, in a process of its own')

export const Config = part({
  realm: Type.String({ ...NodeName, default: 'home' }),
  node: Type.Optional(NodeName),
  stateDir: Type.String({ default: 'state', description: 'Journal, certificates, notes; relative to the folder of this file (without a file: of the project)' }),
  runDir: Type.Optional(Type.String({ description: 'Sockets and links; left out: <stateDir>/run. the path of a UNIX socket has at most 107 bytes' })),
  log: part({ level: Type.Enum(['debug', 'info', 'warn', 'error'], { default: 'info' }) }, 'Log'),
  bus: BusConfig,
  journal: JournalConfig,
  peers: PeersConfig,
  realmMode: RealmModeConfig,
  dispatch: DispatchConfig,
  guard: GuardConfig,
  devices: Type.Array(DeviceConfig, { default: [{ id: 'rover', driver: 'rover', port: 'simulated', baudRate: 115_200 }] }),
  speech: SpeechConfig,
  understand: UnderstandConfig,
  inference: InferenceConfig,
  vision: VisionConfig,
  governor: GovernorConfig,
  dialects: DialectsConfig,
  flows: FlowsConfig,
  sequences: Type.Record(Type.String({ pattern: '^[a-z0-9 ]{1,40}$' }), Type.Array(part({
    type: Type.String(), slots: Type.Record(Type.String(), Type.Unknown(), { default: {} }),
  }, 'One step'), { minItems: 1, maxItems: 50 }), { default: { square: [1, 2, 3, 4].flatMap(() => [{ type: 'drive.move', slots: { distanceM: 0.5 } }, { type: 'drive.turn', slots: { angleDeg: 90 } }]) } }),
}, 'Configuration of one node')

export type Config = Static<typeof Config> & { node: string; runDir: string }
export type BusConfig = Static<typeof BusConfig>
export type ListenerConfig = Static<typeof ListenerConfig>
export type JournalConfig = Static<typeof JournalConfig>
export type PeersConfig = Static<typeof PeersConfig>
export type RealmModeConfig = Static<typeof RealmModeConfig>
export type DispatchConfig = Static<typeof DispatchConfig>
export type GuardConfig = Static<typeof GuardConfig>
export type DeviceConfig = Static<typeof DeviceConfig>
export type SpeechConfig = Static<typeof SpeechConfig>
export type InferenceConfig = Static<typeof InferenceConfig>
export type VisionConfig = Static<typeof VisionConfig>
export type DialectsConfig = Static<typeof DialectsConfig>
export type FlowsConfig = Static<typeof FlowsConfig>
export type GovernorConfig = Static<typeof GovernorConfig>
export type UnderstandConfig = Static<typeof UnderstandConfig>
