import { randomBytes } from 'node:crypto'
import type { Clock, Timer } from '../../contracts/clock.ts'
import type { Peers } from '../peers/port.ts'
import { earMessage, isBetter, type Claim, type Contender, type EarMessage, type Taken, type Won } from './messages.ts'

const CHANNEL = 'ear'
/** From the first wake of a word to the last decision on it. */
export const ARBITRATION_MS = 150
/** A node waits so long for the others, at least: links that go there and back in less cannot make two winners. */
const ANSWER_MS = 70
/**
 * With slow links longer, and then whoever hears the word later has less time to claim it. A node may claim it as long as no
 * other claim has reached it: one way after the first, and its own answer time later it has decided, which must be in time.
 */
const MOST_ANSWER_MS = 130
const RTT_FACTOR = 1.5, RTT_MARGIN_MS = 13
/** What timers and processes add. */
const SLACK_MS = 5
/** Two recognisers put the end of the same word so far apart at most; nobody says it twice within. */
const SAME_WORD_MS = 700
/** A timer that fires later than this: this node, or its process, has slept over what the others said. */
const OVERSLEPT_MS = 50
/** Slept longer than this, it may have lost its links: they have time to come back, and the others to answer. */
const LATE_MS = 400
const LATE_ANSWER_MS = 1_500
/** A board that cannot keep its own time decides in the end. */
const MAX_RENEWALS = 3
/** What was said longer ago is not acted on any more: whoever said it has long done something else. */
const STALE_MS = 10_000
/** Who was not heard for longer is no reason to wait when we were asleep ourselves. */
const LOST_MS = 60_000
const REMEMBERED = 1_000

/** A wake word heard here, and whether this node is the one that answers it. */
export class Contest implements Contender {
  readonly node: string
  readonly claim: string
  readonly merit: number
  /** When the word ended, and when it was claimed, on our clock. */
  readonly wordEndMs: number
  readonly sinceMs: number
  readonly decided: Promise<boolean>
  /** Undefined until it is decided. */
  mine: boolean | undefined
  /** Who is better, or was there before, where that is known. */
  winner: string | undefined
  decidedMs = Infinity
  #isTaken = false
  readonly #resolve: (mine: boolean) => void

  constructor(values: { node: string; claim: string; merit: number; wordEndMs: number; sinceMs: number }) {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.decided = promise
    this.#resolve = resolve
    this.node = values.node
    this.claim = values.claim
    this.merit = values.merit
    this.wordEndMs = values.wordEndMs
    this.sinceMs = values.sinceMs
  }

  /** What was said after the word is acted on: from now on nobody can have it instead. False where another node does. */
  take(): boolean {
    if (this.mine === true) this.#isTaken = true
    return this.#isTaken
  }

  get isTaken(): boolean { return this.#isTaken }

  decide(mine: boolean, nowMs: number, winner: string | undefined): void {
    this.mine = mine
    this.winner = winner
    this.decidedMs = nowMs
    this.#resolve(mine)
  }
}

export interface ArbiterOptions {
  peers: Peers
  clock: Clock
  /** Another node that had decided too is better: this one leaves it to that. */
  onAbdicated?(contest: Contest): void
  /** Unlike that of any other start of this node. */
  run?: string
}

/**
 * Which of the nodes that hear the same word answers it, without a leader and without clocks in common. Who hears it claims
 * it and waits `ANSWER_MS`. A better claim that comes meanwhile wins, one that comes later is told that it is taken; so of
 * any two nodes one loses before it decides, if a message goes there and back in that time. And since a node gives way only
 * to a better claim or to a winner, the best of those that claim always wins. Where links are slower two may win: they hear
 * of each other then, and the lesser one gives way as long as the words that follow have not come.
 */
export class Arbiter {
  readonly #o: ArbiterOptions
  readonly #run: string
  readonly #seen = new Set<string>()
  #count = 0
  #off: (() => void)[] = []
  #contest: Contest | undefined
  #timer: Timer | undefined
  #isHolding = false
  /** When others first claimed the word that is claimed now, when that ended, and who of them is the best. */
  #rival: { sinceMs: number; wordEndMs: number; best: Contender } | undefined
  /** Words that ended until then are answered by `#settledBy`. */
  #settledMs = -Infinity
  #settledBy: string | undefined

  constructor(options: ArbiterOptions) {
    this.#o = options
    this.#run = options.run ?? randomBytes(6).toString('hex')
  }

  /** A conversation goes on at this node: no other begins one meanwhile. */
  get isHolding(): boolean { return this.#isHolding }
  hold(): void { this.#isHolding = true }
  release(): void { this.#isHolding = false }

  start(): void {
    if (this.#off.length > 0) return
    const { peers } = this.#o
    this.#off = [peers.on(CHANNEL, (from, message) => this.#take(from, message)), peers.onChange(() => { if (this.#isOpen) this.#tell(this.#contest!) })]
  }

  /** What is not decided yet is not for this node. */
  stop(): void {
    for (const off of this.#off.splice(0)) off()
    if (this.#isOpen) this.#lose(this.#contest!, undefined)
    this.#isHolding = false
  }

  /** The wake word was heard here. @param word `heardMs` when that was noticed, `wordEndMs` when the word ended; CLOCK_MONOTONIC ms */
  enter(word: { merit: number; heardMs: number; wordEndMs: number }): Contest {
    const { peers: { self }, clock } = this.#o
    if (this.#isOpen) return this.#contest!
    const nowMs = clock.monoMs()
    const contest = this.#contest = new Contest({ node: self, claim: this.#newId(), merit: word.merit, wordEndMs: word.wordEndMs, sinceMs: nowMs })
    const answerMs = this.#answerMs()
    if (this.#isHolding || this.#off.length === 0) this.#win(contest)
    else if (this.#isSettled(word.wordEndMs)) this.#lose(contest, this.#settledBy)
    else if (this.#isHopeless(contest, answerMs)) this.#lose(contest, this.#rival!.best.node)
    else {
      const isLate = nowMs - word.heardMs > LATE_MS
      if (nowMs - word.heardMs > STALE_MS) this.#lose(contest, undefined)
      else if (!this.#hasRivals(isLate)) this.#win(contest)
      else this.#ask(contest, isLate ? LATE_ANSWER_MS : answerMs)
    }
    return contest
  }

  get #isOpen() { return this.#contest !== undefined && this.#contest.mine === undefined }
  #newId() { return `${this.#o.peers.self}.${this.#run}.${++this.#count}` }
  #isSettled(wordEndMs: number) { return wordEndMs <= this.#settledMs + SAME_WORD_MS }
  #hasRivals(isLate: boolean) { return this.#o.peers.list().some(({ online, lastHeardMs }) => online || (isLate && lastHeardMs < LOST_MS)) }

  /** Somebody better has claimed the word just now, or they decide before they could hear of us and we of them. */
  #isHopeless(contest: Contest, answerMs: number): boolean {
    if (!this.#rival || !isSameWord(contest.wordEndMs, this.#rival.wordEndMs)) return false
    const roundMs = contest.sinceMs - this.#rival.sinceMs
    return roundMs <= ARBITRATION_MS && (isBetter(this.#rival.best, contest) || roundMs > ARBITRATION_MS - answerMs - SLACK_MS)
  }

  #answerMs() {
    const slowest = Math.max(0, ...this.#o.peers.list().map(({ online, rttMs = 0 }) => online ? rttMs : 0))
    return Math.min(MOST_ANSWER_MS, Math.max(ANSWER_MS, RTT_FACTOR * slowest + RTT_MARGIN_MS))
  }

  #ask(contest: Contest, forMs: number, renewals = 0): void {
    const { clock } = this.#o
    const dueMs = clock.monoMs() + forMs
    this.#tell(contest)
    this.#timer = clock.setTimeout(() => {
      const oversleptMs = clock.monoMs() - dueMs
      if (oversleptMs > STALE_MS) this.#lose(contest, undefined)
      else if (oversleptMs > OVERSLEPT_MS && renewals < MAX_RENEWALS) this.#ask(contest, oversleptMs > LATE_MS ? LATE_ANSWER_MS : this.#answerMs(), renewals + 1)
      // What has arrived is read first: a timer may run before it.
      else this.#timer = clock.setTimeout(() => this.#win(contest), 0)
    }, forMs)
  }

  #tell({ claim, merit, wordEndMs, sinceMs }: Contest, to?: string): void {
    const nowMs = this.#o.clock.monoMs()
    this.#spread({ op: 'claim', id: this.#newId(), node: this.#o.peers.self, reach: [], claim, merit, wordAgeMs: ageOf(wordEndMs, nowMs), claimAgeMs: ageOf(sinceMs, nowMs) }, to)
  }

  #win(contest: Contest): void {
    const { peers: { self }, clock } = this.#o
    const nowMs = clock.monoMs()
    this.#isHolding = true
    this.#settle(contest.wordEndMs, self)
    contest.decide(true, nowMs, self)
    this.#spread({ op: 'won', id: this.#newId(), node: self, reach: [], claim: contest.claim, merit: contest.merit, wordAgeMs: ageOf(contest.wordEndMs, nowMs) })
  }

  #lose(contest: Contest, winner: string | undefined): void {
    this.#o.clock.clearTimeout(this.#timer)
    contest.decide(false, this.#o.clock.monoMs(), winner)
  }

  #settle(wordEndMs: number, by: string): void {
    if (wordEndMs <= this.#settledMs) return
    this.#settledMs = wordEndMs
    this.#settledBy = by
  }

  /** To all that are linked, or to one. Who is not linked to us may be to one of them. */
  #spread(message: EarMessage, to?: string): void {
    const { peers } = this.#o
    const reach = peers.list().filter(({ online }) => online).map(({ node }) => node)
    this.#remember(message.id)
    for (const node of to === undefined ? reach : [to]) peers.send(node, CHANNEL, { ...message, reach })
  }

  #take(from: string, received: unknown): void {
    const { peers, clock } = this.#o
    // A later version may say more.
    if (!earMessage.check(received) || received.node === peers.self || this.#seen.has(received.id)) return
    this.#remember(received.id)
    const message = aged(received, (peers.list().find(({ node }) => node === from)?.rttMs ?? 0) / 2)
    this.#passOn(message, from)
    if (message.op === 'claim') this.#hearClaim(message, clock.monoMs())
    else if (message.op === 'won') this.#hearWon(message, clock.monoMs() - message.wordAgeMs)
    else this.#hearTaken(message)
  }

  #passOn(message: EarMessage, from: string): void {
    const { peers } = this.#o
    const missing = peers.list().filter(({ node, online }) => online && node !== from && node !== message.node && !message.reach.includes(node) && (message.op !== 'taken' || node === message.to)).map(({ node }) => node)
    for (const node of missing) peers.send(node, CHANNEL, { ...message, reach: [...message.reach, ...missing] })
  }

  #hearClaim(claim: Claim, nowMs: number): void {
    const contest = this.#contest
    const sinceMs = nowMs - claim.claimAgeMs, wordEndMs = nowMs - claim.wordAgeMs
    if (this.#isHolding || this.#isSettled(wordEndMs)) { this.#refuse(claim); return }
    this.#addRival(claim, sinceMs, wordEndMs)
    if (!contest || contest.mine !== undefined) return
    if (isBetter(claim, contest)) this.#lose(contest, claim.node)
    // It may not have heard of us: it was not linked when we claimed, or its process slept.
    else this.#tell(contest, claim.node)
  }

  #addRival({ node, merit }: Contender, sinceMs: number, wordEndMs: number): void {
    const rival = this.#rival
    if (!rival || !isSameWord(wordEndMs, rival.wordEndMs)) { this.#rival = { sinceMs, wordEndMs, best: { node, merit } }; return }
    rival.sinceMs = Math.min(rival.sinceMs, sinceMs)
    if (isBetter({ node, merit }, rival.best)) rival.best = { node, merit }
  }

  #refuse({ node: to, claim }: Claim): void {
    const { peers } = this.#o
    const message: Taken = { op: 'taken', id: this.#newId(), node: peers.self, reach: [], claim, to }
    // Who cannot be reached from here has claimed through another node.
    this.#spread(message, peers.list().some(({ node, online }) => online && node === to) ? to : undefined)
  }

  #hearWon(won: Won, wordEndMs: number): void {
    this.#settle(wordEndMs, won.node)
    const contest = this.#contest
    if (!contest || contest.mine === false || !isSameWord(contest.wordEndMs, wordEndMs)) return
    if (contest.mine === undefined) this.#lose(contest, won.node)
    else if (!contest.isTaken && isBetter(won, contest)) {
      this.#isHolding = false
      contest.mine = false
      contest.winner = won.node
      this.#o.onAbdicated?.(contest)
    }
  }

  #hearTaken({ to, claim, node }: Taken): void {
    if (to === this.#o.peers.self && this.#isOpen && this.#contest!.claim === claim) this.#lose(this.#contest!, node)
  }

  #remember(id: string): void {
    this.#seen.add(id)
    const [oldest] = this.#seen.size > REMEMBERED ? this.#seen : []
    if (oldest !== undefined) this.#seen.delete(oldest)
  }
}

const isSameWord = (aEndMs: number, bEndMs: number) => Math.abs(aEndMs - bEndMs) <= SAME_WORD_MS
const ageOf = (atMs: number, nowMs: number) => Math.max(0, Math.round((nowMs - atMs) * 100) / 100)

/** The same message as it would be if it were sent now. */
function aged(message: EarMessage, onTheWayMs: number): EarMessage {
  if (message.op === 'taken') return message
  const wordAgeMs = message.wordAgeMs + onTheWayMs
  return message.op === 'won' ? { ...message, wordAgeMs } : { ...message, wordAgeMs, claimAgeMs: message.claimAgeMs + onTheWayMs }
}
