import type { Address, Prefix } from '@honeymesh/intel/address';
import { unixMs } from '@honeymesh/intel/time';
import { expect, test } from 'vitest';
import { kernelConfigOf } from '#enforcer/config/policies.ts';
import { defaultConfig } from '#enforcer/config/units.ts';
import { createBystanders } from '#enforcer/health/bystanders.ts';
import { createMemoryKernel } from '#enforcer/kernel/memory.ts';

test('proven sources inside a prefix are its bystanders, an IPv6 one by its /64 too; the list is read anew after two seconds', () => {
  let nowMs = 1_000_000;
  const now = () => unixMs(nowMs);
  const kernel = createMemoryKernel({}, { now });
  kernel.setConfig(kernelConfigOf(defaultConfig, { trapPort: 0, trapMark: 0, trapUdpPort: 0, ephemeralPorts: [32_768, 60_999] }));
  kernel.prove(['203.0.113.7', '203.0.113.9', '2001:db8::5'] as Address[]);
  const bystanders = createBystanders({ kernel, onLink: () => [], own: () => [], now });
  expect(bystanders.within('203.0.113.0/24' as Prefix, 10)).toEqual(['203.0.113.7', '203.0.113.9']);
  expect(bystanders.within('203.0.113.0/24' as Prefix, 1)).toEqual(['203.0.113.7']);
  expect(bystanders.within('198.51.100.0/24' as Prefix, 10)).toEqual([]);
  expect(bystanders.within('2001:db8::/56' as Prefix, 10)).toEqual(['2001:db8::']);
  expect(bystanders.within('2001:db8::77/128' as Prefix, 10)).toEqual(['2001:db8::']);

  kernel.prove(['198.51.100.1'] as Address[]);
  expect(bystanders.within('198.51.100.0/24' as Prefix, 10)).toEqual([]);
  nowMs += 2_000;
  expect(bystanders.within('198.51.100.0/24' as Prefix, 10)).toEqual(['198.51.100.1']);
});
