/** What the wheels were told to do; signs as in the protocol: forward and left (counter-clockwise) are positive. */
export type Goal = { kind: 'move'; distanceM: number; speedMps: number } | { kind: 'turn'; angleDeg: number }
/** Why a step ended the goal: arrived, blocked wheels, or the supply broke down under load. */
export type GoalEnd = 'arrived' | 'stalled' | 'brownOut'

/** A small two-wheel rover. Sources are plausible hobby-class figures, not a measured vehicle. */
export const VEHICLE = {
  accelerationMps2: 0.8, brakeMps2: 5, maxSpeedMps: 2,
  turnRateDegps: 90, turnAccelerationDegps2: 240, turnBrakeDegps2: 1200,
  /** Wheels commanded but not turning for this long is a stall. */
  stallDetectS: 0.3,
  batteryWh: 24, idleW: 2, driveWPerMps: 12, turnW: 8, lightW: 3, stallW: 30,
  /** Open-circuit voltage when empty and full. */
  emptyV: 9.6, fullV: 12.6,
  brownOutV: 9.0, ambientC: 24, heatCPerW: 0.9, heatS: 90,
} as const

/** Longest integration step, s of model time. */
const STEP_S = 0.005

/**
 * Physics of the simulated rover. Time is given to `advance`; nothing here reads a clock, so tests run without waiting.
 * Odometer and measured distance are what wheel encoders see; `groundX/Y` and `groundHeadingDeg` are where the rover truly is.
 */
export class Motion {
  /** Dead reckoning of the controller (lost at a brown-out). */
  xM = 0
  yM = 0
  headingDeg = 0
  odometerM = 0
  /** Ground truth, which the controller cannot know. */
  groundXM = 0
  groundYM = 0
  groundHeadingDeg = 0
  groundM = 0
  speedMps = 0
  turnRateDegps = 0
  batteryFraction = 1
  temperatureC: number = VEHICLE.ambientC
  lightFraction = 0
  /** Faults that can be set from outside. */
  slipFraction = 0.005
  blocked = false
  /** What a watt of load takes off the battery's voltage; an old battery has several times as much. */
  sagVPerW = 0.012
  /** Wheel distance (signed) and angle since the goal began. */
  travelledM = 0
  turnedDeg = 0
  #goal: Goal | undefined
  #braking = false
  #stalledS = 0
  #random: () => number

  constructor(random: () => number) { this.#random = random }

  get goal(): Goal | undefined { return this.#goal }
  /** True until the wheels stand still, also while braking. */
  get moving(): boolean { return this.#goal !== undefined || this.speedMps !== 0 || this.turnRateDegps !== 0 }
  get loadW(): number {
    return VEHICLE.idleW + VEHICLE.lightW * this.lightFraction
      + (this.#goal && this.blocked ? VEHICLE.stallW : VEHICLE.driveWPerMps * Math.abs(this.speedMps) + VEHICLE.turnW * Math.abs(this.turnRateDegps) / VEHICLE.turnRateDegps)
  }
  get batteryV(): number {
    return VEHICLE.emptyV + (VEHICLE.fullV - VEHICLE.emptyV) * this.batteryFraction - this.sagVPerW * this.loadW
  }

  begin(goal: Goal): void {
    this.#goal = goal
    this.#braking = false
    this.#stalledS = 0
    this.travelledM = 0
    this.turnedDeg = 0
  }

  /** Ends the goal; the wheels brake as hard as they can and stand still a little later. */
  brake(): void {
    this.#goal = undefined
    this.#braking = true
  }

  /** Power is gone: wheels lock at once, dead reckoning is lost. */
  cutPower(): void {
    this.#goal = undefined
    this.speedMps = 0
    this.turnRateDegps = 0
    this.xM = this.yM = this.headingDeg = 0
    this.lightFraction = 0
  }

  /** Moves model time on by `seconds`; returns why the goal ended, if it did. */
  advance(seconds: number): GoalEnd | undefined {
    let end: GoalEnd | undefined
    for (let left = seconds; left > 1e-9; left -= STEP_S) end = this.#step(Math.min(left, STEP_S)) ?? end
    return end
  }

  #step(dt: number): GoalEnd | undefined {
    const load = this.loadW
    this.batteryFraction = Math.max(0, this.batteryFraction - load * dt / (VEHICLE.batteryWh * 3600))
    this.temperatureC += (VEHICLE.ambientC + VEHICLE.heatCPerW * load - this.temperatureC) * dt / VEHICLE.heatS
    if (!this.moving) return undefined
    if (this.batteryV < VEHICLE.brownOutV) return 'brownOut'
    if (this.#goal && this.blocked) {
      this.speedMps = 0
      this.turnRateDegps = 0
      this.#stalledS += dt
      return this.#stalledS >= VEHICLE.stallDetectS ? 'stalled' : undefined
    }
    this.#stalledS = 0
    const goal = this.#goal
    if (goal?.kind === 'move') {
      const remaining = goal.distanceM - this.travelledM
      this.speedMps = approach(this.speedMps, remaining, Math.min(goal.speedMps, VEHICLE.maxSpeedMps), VEHICLE.accelerationMps2, dt)
      const delta = Math.abs(this.speedMps * dt) >= Math.abs(remaining) ? remaining : this.speedMps * dt
      this.#roll(delta)
      if (delta !== remaining) return undefined
      this.speedMps = 0
    } else if (goal?.kind === 'turn') {
      const remaining = goal.angleDeg - this.turnedDeg
      this.turnRateDegps = approach(this.turnRateDegps, remaining, VEHICLE.turnRateDegps, VEHICLE.turnAccelerationDegps2, dt)
      const delta = Math.abs(this.turnRateDegps * dt) >= Math.abs(remaining) ? remaining : this.turnRateDegps * dt
      this.#rotate(delta)
      if (delta !== remaining) return undefined
      this.turnRateDegps = 0
    } else if (this.#braking) {
      this.speedMps = towards(this.speedMps, 0, VEHICLE.brakeMps2 * dt)
      this.turnRateDegps = towards(this.turnRateDegps, 0, VEHICLE.turnBrakeDegps2 * dt)
      this.#roll(this.speedMps * dt)
      this.#rotate(this.turnRateDegps * dt)
      return undefined
    }
    this.#goal = undefined
    return 'arrived'
  }

  #slip(): number { return Math.min(1, Math.max(0, this.slipFraction * (0.5 + this.#random()))) }

  #roll(metres: number): void {
    if (metres === 0) return
    const ground = metres * (1 - this.#slip())
    this.travelledM += metres
    this.odometerM += Math.abs(metres)
    this.groundM += Math.abs(ground)
    this.xM += metres * Math.cos(radians(this.headingDeg))
    this.yM += metres * Math.sin(radians(this.headingDeg))
    this.groundXM += ground * Math.cos(radians(this.groundHeadingDeg))
    this.groundYM += ground * Math.sin(radians(this.groundHeadingDeg))
  }

  #rotate(degrees: number): void {
    if (degrees === 0) return
    this.turnedDeg += degrees
    this.headingDeg += degrees
    this.groundHeadingDeg += degrees * (1 - this.#slip())
  }
}

const radians = (degrees: number) => degrees * Math.PI / 180
const towards = (value: number, target: number, step: number) => value < target ? Math.min(target, value + step) : Math.max(target, value - step)

/** Speed after `dt` on a trapezoidal profile: accelerate, cruise, and never faster than can be braked within `remaining` (v² = 2as). */
function approach(speed: number, remaining: number, cruise: number, acceleration: number, dt: number): number {
  const braked = Math.sqrt(2 * acceleration * Math.abs(remaining))
  const target = Math.sign(remaining) * Math.min(cruise, braked)
  const next = towards(speed, target, acceleration * dt)
  return Math.abs(next) > Math.abs(target) ? target : next
}
