import test from 'ava'
import { Motion, VEHICLE } from './motion.ts'

const still = () => 0.5
function run(motion: Motion, limitS = 120): { end: string | undefined; seconds: number; topSpeed: number } {
  let seconds = 0
  let topSpeed = 0
  for (;;) {
    const end = motion.advance(0.01)
    seconds += 0.01
    topSpeed = Math.max(topSpeed, Math.abs(motion.speedMps))
    if (end || seconds > limitS) return { end, seconds, topSpeed }
  }
}

test('ROV-011 a move accelerates, cruises and ends exactly at its distance, in the time that physics needs', (t) => {
  for (const distanceM of [10, -2, 0.05]) {
    const motion = new Motion(still)
    motion.begin({ kind: 'move', distanceM, speedMps: 0.5 })
    const { end, seconds, topSpeed } = run(motion)
    t.is(end, 'arrived')
    t.true(Math.abs(motion.travelledM - distanceM) < 1e-9)
    t.true(Math.abs(motion.xM - distanceM) < 1e-9)
    t.true(topSpeed <= 0.5 + 1e-9)
    const a = VEHICLE.accelerationMps2
    const ramp = Math.min(0.5, Math.sqrt(Math.abs(distanceM) * a))
    const expected = 2 * ramp / a + (Math.abs(distanceM) - ramp * ramp / a) / 0.5
    t.true(Math.abs(seconds - expected) < 0.15, `${distanceM} m took ${seconds} s, expected ${expected} s`)
    t.false(motion.moving)
  }
})

test('ROV-011 a turn ends at its angle and a move then follows the heading', (t) => {
  const motion = new Motion(still)
  motion.begin({ kind: 'turn', angleDeg: 90 })
  t.is(run(motion).end, 'arrived')
  t.true(Math.abs(motion.headingDeg - 90) < 1e-6)
  motion.begin({ kind: 'move', distanceM: 1, speedMps: 1 })
  run(motion)
  t.true(Math.abs(motion.xM) < 1e-6 && Math.abs(motion.yM - 1) < 1e-6)
})

test('ROV-011 slipping wheels measure more than the ground they cover', (t) => {
  const motion = new Motion(still)
  motion.slipFraction = 0.2
  motion.begin({ kind: 'move', distanceM: 5, speedMps: 1 })
  t.is(run(motion).end, 'arrived')
  t.true(Math.abs(motion.travelledM - 5) < 1e-9)
  t.true(Math.abs(motion.groundM - 4) < 0.01)
})

test('ROV-011 blocked wheels stall, braking comes to rest within v²/2a', (t) => {
  const motion = new Motion(still)
  motion.begin({ kind: 'move', distanceM: 5, speedMps: 1 })
  motion.advance(2)
  const before = motion.travelledM
  motion.brake()
  motion.advance(0.5)
  t.false(motion.moving)
  t.true(Math.abs(motion.travelledM - before - 1 / (2 * VEHICLE.brakeMps2)) < 0.01)
  motion.blocked = true
  motion.begin({ kind: 'move', distanceM: 5, speedMps: 1 })
  const { end, seconds } = run(motion)
  t.is(end, 'stalled')
  t.true(seconds >= VEHICLE.stallDetectS - 0.011)
  t.is(motion.travelledM, 0)
})

test('ROV-011 driving drains the battery by the work done, and a weak battery browns out under load', (t) => {
  const motion = new Motion(still)
  motion.begin({ kind: 'move', distanceM: 100, speedMps: 1 })
  motion.advance(60)
  const wattHours = (VEHICLE.idleW + VEHICLE.driveWPerMps) * 60 / 3600
  t.true(Math.abs((1 - motion.batteryFraction) * VEHICLE.batteryWh - wattHours) < 0.02)
  motion.sagVPerW = 0.5
  t.is(motion.advance(0.1), 'brownOut')
})
