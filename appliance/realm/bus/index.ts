export { OneBus, type OneBusOptions } from './one-bus.ts'
