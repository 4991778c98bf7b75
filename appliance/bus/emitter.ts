import mqemitter, { type MQEmitter } from 'mqemitter'

/**
 * An emitter that numbers packets as they are sent. aedes numbers them as they are published and drops, as a duplicate,
 * what comes to a client with a lower number than the last; but a QoS 1 or retained message takes a turn longer than
 * a QoS 0 one, is overtaken by it, and would be lost. No limit of messages under way either: with one, a frozen
 * subscriber holds back every topic rather than those it subscribed to.
 * @param onEmit is shown each packet in the order in which the subscribers get them
 */
export function emitterInOrder(onEmit?: (packet: object) => void): MQEmitter {
  const emitter = mqemitter({ concurrency: 0, matchEmptyLevels: true })
  const emit = emitter.emit.bind(emitter)
  let counter = 0
  emitter.emit = (packet, done) => {
    packet.brokerCounter = ++counter
    onEmit?.(packet)
    return emit(packet, done)
  }
  return emitter
}
