export default {
  files: ['appliance/**/*.test.ts', 'drivers/**/*.test.ts', 'bench/**/*.test.ts', 'hil-tests/**/*.test.ts', 'setup/**/*.test.ts', 'flows/**/*.test.ts'],
  extensions: { ts: 'module' },
  // serialport's poller lives on the main thread's event loop: in a worker thread it aborts the process.
  workerThreads: false,
  timeout: '180s',
  // Several files bring up whole boxes with models and processes of their own: two at once starve each other on two cores.
  concurrency: 1,
  environmentVariables: { NODE_NO_WARNINGS: '1' },
}
