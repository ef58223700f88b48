/** The configuration of the packet path that tests start from. */
import type { KernelConfig } from '#enforcer/kernel/port.ts';

/** The defaults of docs/packet-path.md, with the mode that drops. */
export const TEST_CONFIG: KernelConfig = {
  mode: 'enforce',
  fastPorts: 3,
  fastWindowMs: 60_000,
  slowPorts: 25,
  slowWindowMs: 86_400_000,
  shunMs: 60_000,
  longestShunMs: 600_000,
  provenMs: 3_600_000,
  flowMs: 120_000,
  graceMs: 86_400_000,
  heartbeatMs: 3_000,
  synPerSecond: 200,
  udpPerSecond: 1_000,
  echoPerSecond: 100,
  openUdpPerSecond: 0,
  newSourcesPerSecond: 10_000,
  eventsPerSecond: 5_000,
  egressDrop: true,
  trapPort: 7_000,
  trapMark: 0x484d,
  trapUdpPort: 7_001,
  ephemeralPorts: [32_768, 60_999],
};
