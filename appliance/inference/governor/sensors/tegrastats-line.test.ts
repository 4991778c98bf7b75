import test from 'ava'
import { parseTegraStats, powerModeOf } from './tegrastats-line.ts'

test('AGX Orin, JetPack 5: two GPU clusters, parts that are powered down, rails of the board’s parts', (t) => {
  t.deepEqual(parseTegraStats('11-22-2026 10:21:10 RAM 3512/30588MB (lfb 6x4MB) SWAP 0/15294MB (cached 0MB) CPU [1%@729,0%@729,0%@729,0%@729,off,off,off,off] EMC_FREQ 0%@2133 GR3D_FREQ 12%@[305,0] VIC_FREQ 729 APE 174 CV0@-256C CPU@46.5C SOC2@43.625C SOC0@44.9C CV1@-256C GPU@-256C tj@46.5C SOC1@45.6C CV2@-256C VDD_GPU_SOC 1590mW/1590mW VDD_CPU_CV 397mW/397mW VIN_SYS_5V0 3432mW/3432mW NC 0mW/0mW VDDQ_VDD2_1V8AO 502mW/502mW'), {
    temperaturesC: { cpu: 46.5, soc2: 43.625, soc0: 44.9, tj: 46.5, soc1: 45.6 },
    gpuLoad: 0.12, gpuClockMHz: 305,
    railsW: { VDD_GPU_SOC: 1.59, VDD_CPU_CV: 0.397, VIN_SYS_5V0: 3.432, VDDQ_VDD2_1V8AO: 0.502 },
  })
})

test('Orin Nano, JetPack 6: small letters, a rail of the whole board', (t) => {
  t.deepEqual(parseTegraStats('11-22-2026 14:02:31 RAM 2914/7620MB (lfb 8x4MB) SWAP 0/3810MB (cached 0MB) CPU [5%@1510,2%@1510,0%@1510,1%@1510,0%@1510,0%@1510] EMC_FREQ 2%@2133 GR3D_FREQ 0%@[306] NVDEC off NVJPG off NVJPG1 off VIC off OFA off APE 200 cpu@52.5C soc2@50.2C soc0@50C gpu@51.3C tj@52.5C soc1@51C VDD_IN 5040mW/5012mW VDD_CPU_GPU_CV 680mW/671mW VDD_SOC 1480mW/1476mW'), {
    temperaturesC: { cpu: 52.5, soc2: 50.2, soc0: 50, gpu: 51.3, tj: 52.5, soc1: 51 },
    gpuLoad: 0, gpuClockMHz: 306, railsW: { VDD_IN: 5.04, VDD_CPU_GPU_CV: 0.68, VDD_SOC: 1.48 }, boardW: 5.04,
  })
})

test('AGX Xavier, JetPack 4: rails without units, a constant PMIC, fields of two words', (t) => {
  t.deepEqual(parseTegraStats('RAM 2623/31919MB (lfb 6862x4MB) SWAP 0/15960MB (cached 0MB) CPU [1%@1190,0%@1190,off,off] EMC_FREQ 0%@1600 GR3D_FREQ 99%@318 APE 150 MTS fg 0% bg 1% AO@36.5C GPU@36C Tdiode@38.75C PMIC@100C AUX@36C CPU@37C thermal@36.4C Tboard@36C GPU 155/150 CPU 311/311 SOC 933/933 CV 0/0 VDDRQ 155/155 SYS5V 1680/1680'), {
    temperaturesC: { ao: 36.5, gpu: 36, tdiode: 38.75, aux: 36, cpu: 37, thermal: 36.4, tboard: 36 },
    gpuLoad: 0.99, gpuClockMHz: 318, railsW: { GPU: 0.155, CPU: 0.311, SOC: 0.933, CV: 0, VDDRQ: 0.155, SYS5V: 1.68 },
  })
})

test('Nano, without root: no clock of the GPU', (t) => {
  t.deepEqual(parseTegraStats('RAM 1234/3964MB (lfb 2x1MB) SWAP 0/1982MB (cached 0MB) IRAM 0/252kB(lfb 252kB) CPU [13%@102,8%@102,off,off] EMC_FREQ 0% GR3D_FREQ 8% PLL@24C CPU@27.5C PMIC@100C GPU@27C AO@33.5C thermal@-4.5C POM_5V_IN 1022/1022 POM_5V_GPU 0/0 POM_5V_CPU 163/163'), {
    temperaturesC: { pll: 24, cpu: 27.5, gpu: 27, ao: 33.5, thermal: -4.5 },
    gpuLoad: 0.08, railsW: { POM_5V_IN: 1.022, POM_5V_GPU: 0, POM_5V_CPU: 0.163 }, boardW: 1.022,
  })
})

test('other lines are none of tegrastats, and a line without a part leaves that part out', (t) => {
  for (const line of ['', 'tegrastats: permission denied', 'CPU@46C', 'PROGRAM 1/2MB']) t.is(parseTegraStats(line), undefined)
  t.deepEqual(parseTegraStats('RAM 1/2MB (lfb 1x4MB) CPU [off]'), { temperaturesC: {}, railsW: {} })
})

test('the power mode is read from what nvpmodel prints, of old and new systems', (t) => {
  t.is(powerModeOf('NV Power Mode: MAXN\n0\n'), 'MAXN')
  t.is(powerModeOf('NV Fan Mode:quiet\nNV Power Mode: MODE_15W_6CORE\n2\n'), 'MODE_15W_6CORE')
  t.is(powerModeOf('NVPM VERB: Current mode: NV Power Mode: 15W\n'), '15W')
  t.is(powerModeOf('NVPM ERROR: no mode'), undefined)
})
