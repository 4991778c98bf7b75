export { boardSensors, Governor, type GovernorOptions, type GovernorStatus, type SensorStatus } from './governor.ts'
export type { Reading, Sensor } from './sensor.ts'
export { thermalZones } from './sensors/temperature.ts'
