export { realmUrl, withLocalListener } from './confinement.ts'
export { FlowsHost, type FlowsHostOptions, type FlowsStatus } from './host.ts'
export { PROBE_TYPE } from './probe-flow.ts'
export { flowRoutes } from './routes.ts'
