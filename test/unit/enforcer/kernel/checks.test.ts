import { expect, test } from 'vitest';
import { HoneyMeshError } from '#enforcer/errors.ts';
import { checkKernelRelease, checkMachine, isBpffs } from '#enforcer/kernel/checks.ts';
import { linkName } from '#enforcer/kernel/pins.ts';

const refusal = (run: () => void): HoneyMeshError => {
  try {
    run();
  } catch (error) {
    if (error instanceof HoneyMeshError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
};

test.for(['5.19.0', '5.19-rc1', '6.1.0-18-amd64', '6.18.44-fc', '10.0'])('a kernel %s will do', release => {
  expect(() => checkKernelRelease(release)).not.toThrow();
});

test.for(['5.18.19', '5.4.0-150-generic', '4.19.0', '3.10', 'nonsense', ''])('a kernel "%s" is refused, and the fix names one that will do', release => {
  const error = refusal(() => checkKernelRelease(release));
  expect([error.code, error.fix]).toEqual(['HM_KERNEL_TOO_OLD', expect.stringContaining('Debian 12')]);
});

test('not root, no type information: each says so', () => {
  const machine = { release: '6.1.0', btfPath: '/nonexistent/vmlinux', uid: 0 };
  expect(refusal(() => checkMachine({ ...machine, uid: 1000 })).code).toBe('HM_NOT_ROOT');
  expect(refusal(() => checkMachine(machine))).toMatchObject({ code: 'HM_NO_BTF', fix: expect.stringContaining('CONFIG_DEBUG_INFO_BTF') });
});

test('an ordinary folder is no BPF file system', () => {
  expect(isBpffs('/tmp/not/there')).toBe(false);
});

test('names of pins have no dots, which bpffs refuses', () => {
  expect(linkName('xdp', 'eth0.5')).toBe('xdp_eth0%2e5');
});
