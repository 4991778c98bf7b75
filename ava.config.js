export default {
  files: ['appliance/**/*.test.ts', 'drivers/**/*.test.ts', 'bench/**/*.test.ts', 'hil-tests/**/*.test.ts', 'setup/**/*.test.ts'],
  extensions: { ts: 'module' },
  // serialport's poller lives on the main thread's event loop: in a worker thread it aborts the process.
  workerThreads: false,
  timeout: '120s',
  concurrency: 2,
  environmentVariables: { NODE_NO_WARNINGS: '1' },
}
