/**
 * The one catalogue of reject, result and fault codes. Each has a sentence the box can say aloud
 * and a hint a person can act on. A code is part of the wire contract: never renamed, only added.
 */
export const CODES = {
  // Submission: why an envelope was not accepted.
  MALFORMED: { say: 'I could not read that message.', hint: 'Send one JSON object, UTF-8.' },
  INVALID_ENVELOPE: { say: 'That message is not a valid intent.', hint: 'Compare it with the envelope schema in the AsyncAPI document.' },
  UNKNOWN_TYPE: { say: 'I do not know that kind of request.', hint: 'List the known types with: mtor intents' },
  INVALID_SLOTS: { say: 'Some details of that request are wrong.', hint: 'See the slots, units and ranges with: mtor intents TYPE' },
  UNAUTHORISED: { say: 'You are not allowed to do that.', hint: 'Use an identity whose role permits it.' },
  REPLAYED: { say: 'I have already had that request.', hint: 'Use a new id for a new request.' },
  EXPIRED: { say: 'That request came too late.', hint: 'Submit it again; its time to live had run out.' },
  NOT_ARMED: { say: 'The drive is not armed.', hint: 'Say "arm the drive" and confirm, or: mtor say --confirmed "arm the drive"' },
  UNSAFE_MODE: { say: 'That is not allowed in the present mode.', hint: 'Change the mode with: mtor say "set mode normal"' },
  BUSY: { say: 'I have too much to do at the moment.', hint: 'Try again shortly.' },
  TOO_LARGE: { say: 'That message is too large.', hint: 'Send references, not content; the limit is bus.limits.maxPacketBytes.' },
  TOO_FAST: { say: 'Messages are coming too fast.', hint: 'Slow down; the limit is bus.limits.messagesPerSecond.' },
  UNKNOWN_TOPIC: { say: 'That topic does not exist.', hint: 'See the topics in the AsyncAPI document.' },
  // Understanding.
  NOT_UNDERSTOOD: { say: 'Sorry, I did not understand.', hint: 'Say "help" or run: mtor intents' },
  NOT_CONFIRMED: { say: 'Not confirmed, so I did nothing.', hint: 'Say "confirm" when asked; a program sets confirmed: true in the envelope once it has asked, mtor say has --confirmed.' },
  NOT_MEANT: { say: 'I heard more than a command, so I did nothing.', hint: 'Say only the command, with a pause before and after it.' },
  TEMPLATE_INVALID: { say: 'An intent file has a mistake.', hint: 'The message names the file and the place.' },
  // Carrying out.
  NOT_FITTED: { say: 'That is not fitted on this box.', hint: 'The skill or device for it is not installed yet.' },
  DEVICE_UNREACHABLE: { say: 'I cannot reach the device.', hint: 'Check its cable and power; see: mtor status' },
  DEVICE_REFUSED: { say: 'The device refused the command.', hint: 'See the event for the reason the device gave.' },
  STALE_EPOCH: { say: 'Another node commands that device now.', hint: 'The command carried an old epoch; submit again to the owner.' },
  STALLED: { say: 'The wheels are stalled.', hint: 'Free the wheels, then try again.' },
  LOW_BATTERY: { say: 'The battery is too low for that.', hint: 'Charge the battery.' },
  DEADLINE: { say: 'That took too long, so I gave up.', hint: 'Try again; see the events for what was slow.' },
  STOPPED: { say: 'Stopped.', hint: 'An emergency stop ended it.' },
  CANCELLED: { say: 'Cancelled.', hint: 'It was cancelled on request.' },
  OUTCOME_UNKNOWN: { say: 'I was interrupted and cannot tell whether that was done.', hint: 'Look at the device, then decide whether to ask again.' },
  INTERRUPTED: { say: 'I was interrupted, so I stopped doing that.', hint: 'Submit it again if it is still wanted.' },
  NOT_FOUND: { say: 'I cannot find that.', hint: 'Check the name or id.' },
  ALREADY_FINAL: { say: 'That is already finished.', hint: 'Nothing to do.' },
  MODEL_UNTRUSTED: { say: 'A model file is not the one I trust, so I will not use it.', hint: 'See: mtor models verify; bring it again with: mtor models pull NAME' },
  MODEL_UNAVAILABLE: { say: 'I cannot use that model just now.', hint: 'See the last fault with: mtor inference status' },
  MODEL_INVALID: { say: 'That model does not fit.', hint: 'The message names what its manifest or its files lack; see docs/11-models.md' },
  POISON: { say: 'I will not try that again. It has broken my model twice.', hint: 'The input is kept aside; see: mtor inference status' },
  NO_MAJORITY: { say: 'My models do not agree, so I do not know.', hint: 'See the dissenters in the event; ask again.' },
  DOWNLOAD_FAILED: { say: 'I could not fetch that.', hint: 'Check the network; asked again, it goes on where it was cut off.' },
  DISK_FULL: { say: 'My disk is full.', hint: 'Free some space; see: mtor status' },
  LEARN_FAILED: { say: 'I could not learn that well enough.', hint: 'The message gives the figures; add examples and try again.' },
  // Flows.
  NO_HANDLER: { say: 'The flow for that is not running.', hint: 'Deploy or start the flow that handles it; see: mtor flows list' },
  TYPE_TAKEN: { say: 'Another flow has that request already.', hint: 'Give the intent type another name.' },
  SENTENCE_TAKEN: { say: 'That sentence already means something else.', hint: 'Word the sentence differently; see: mtor intents' },
  NO_ANSWER: { say: 'I had no answer.', hint: 'Ask again, or allow more time for the answer.' },
  FLOW_INVALID: { say: 'That flow has a mistake.', hint: 'See what is wrong with: mtor flows lint' },
  FLOWS_DOWN: { say: 'My flows are down for a moment.', hint: 'They restart by themselves; see: mtor flows list' },
  // Seeing.
  CAMERA: { say: 'I cannot get a picture from the camera.', hint: 'Check the camera and vision.camera in the configuration; see: mtor doctor' },
  IMAGE_INVALID: { say: 'I cannot read that picture.', hint: 'Give a JPEG, PNG or WebP of at most 50 megapixels.' },
  // Realm.
  NOT_A_MEMBER: { say: 'That node does not belong to my realm.', hint: 'See the members with: mtor realm status; a new node joins with: mtor realm join ADDRESS TOKEN' },
  ALREADY_A_MEMBER: { say: 'That node belongs to a realm already.', hint: 'Leave with: mtor realm leave; or give the new node a name of its own (node in the configuration).' },
  TOKEN_INVALID: { say: 'That join token is not valid.', hint: 'Make a new one on a full node with: mtor realm token' },
  NODE_UNREACHABLE: { say: 'I cannot reach the other node.', hint: 'Check its power and the network between; see: mtor realm status' },
  VERSION_MISMATCH: { say: 'Another node speaks a version that I do not.', hint: 'Upgrade the older node; neighbouring versions work together.' },
  // Parts of the appliance.
  JOURNAL_UNAVAILABLE: { say: 'My journal is not available, so I cannot accept requests.', hint: 'Check the disk; see: mtor doctor' },
  NO_QUORUM: { say: 'I have lost the other nodes, so I cannot accept requests.', hint: 'Bring back a majority of the nodes; see: mtor realm status' },
  JOURNAL_CORRUPT: { say: 'My journal was damaged. I set it aside and started a new one.', hint: 'The old file is kept beside the new one.' },
  CONFIG_INVALID: { say: 'My configuration has a mistake.', hint: 'Run: mtor config check FILE' },
  AUDIO_INVALID: { say: 'I cannot read that sound file.', hint: 'Give a PCM or float WAV with 1 to 8 channels.' },
  AUDIO_DEVICE: { say: 'I cannot open the sound device.', hint: 'List devices with: arecord -l' },
  SPEECH_DOWN: { say: 'My hearing is down for a moment.', hint: 'It restarts by itself; see: mtor status' },
  ENGINE_MISSING: { say: 'A speech engine is missing.', hint: 'Run: mtor doctor' },
  FRAME_INVALID: { say: 'The device sent something I cannot read.', hint: 'Check the cable and the baud rate.' },
  PORT_INVALID: { say: 'The serial port is not usable.', hint: 'Check the device path and permissions.' },
  ALREADY_RUNNING: { say: 'Another appliance is running here already.', hint: 'Stop that one, or give this one a stateDir and a runDir of its own.' },
  NOT_RUNNING: { say: 'The appliance is not running.', hint: 'Start it with: npm start' },
  USAGE: { say: 'That command line is not right.', hint: 'See: mtor --help' },
  INTERNAL: { say: 'Something went wrong inside me.', hint: 'See the log; please report it.' },
} as const satisfies Record<string, { say: string; hint: string }>

/** A code of the catalogue. */
export type Code = keyof typeof CODES

/** True when `value` names a code of the catalogue. */
export const isCode = (value: unknown): value is Code => typeof value === 'string' && Object.hasOwn(CODES, value)
