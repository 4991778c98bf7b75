import { answer } from './child-answer.ts'

/** Converts a model's files in a process of its own. One argument: JSON; prints JSON (run.ts, runChild). */
await answer(async (input: { from: 'tfjs' | 'ctranslate2'; inputFolder: string; inputs: { path: string }[]; outputFile: string }) => {
  const { convert } = await import('../convert/index.ts')
  return await convert(input.from, input.inputFolder, input.inputs, input.outputFile)
})
