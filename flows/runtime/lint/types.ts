/** The node types that the appliance's Node-RED has, where it has not said so itself: those of Node-RED 5 and our own. */
export const CORE_TYPES: readonly string[] = [
  'junction', 'inject', 'debug', 'complete', 'catch', 'status', 'link in', 'link out', 'link call', 'comment', 'global-config', 'unknown',
  'function', 'switch', 'change', 'range', 'template', 'delay', 'trigger', 'rbe',
  'tls-config', 'http proxy', 'mqtt in', 'mqtt out', 'mqtt-broker', 'http in', 'http response', 'http request',
  'websocket in', 'websocket out', 'websocket-listener', 'websocket-client', 'tcp in', 'tcp out', 'tcp request', 'udp in', 'udp out',
  'csv', 'html', 'json', 'xml', 'yaml', 'split', 'join', 'sort', 'batch', 'file', 'file in', 'watch',
  'mtor-realm', 'mtor-intent-in', 'mtor-intent-out', 'mtor-intent-result', 'mtor-intent-define', 'mtor-event-in', 'mtor-telemetry-in', 'mtor-device', 'mtor-say', 'mtor-ask', 'mtor-see', 'mtor-limit', 'mtor-stop',
]

/** Types of Node-RED that the appliance leaves out, and why. */
export const EXCLUDED_TYPES: ReadonlyMap<string, string> = new Map([['exec', 'programs of the operating system cannot be run from flows here: with an exec node, no flow runs']])
