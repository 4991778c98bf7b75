export default {
  files: ['appliance/**/*.test.ts', 'drivers/**/*.test.ts', 'bench/**/*.test.ts', 'hil-tests/**/*.test.ts', 'setup/**/*.test.ts'],
  extensions: { ts: 'module' },
  timeout: '120s',
  concurrency: 2,
  environmentVariables: { NODE_NO_WARNINGS: '1' },
}
