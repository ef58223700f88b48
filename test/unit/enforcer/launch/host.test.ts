import { expect, test } from 'vitest';
import { cgroup2Mount } from '#enforcer/launch/host.ts';

test("cgroup2's root is found among the mounts, a part of its tree is not taken for it", () => {
  const mounts = [
    '24 30 0:22 / /sys/fs/cgroup rw,relatime shared:4 - tmpfs tmpfs rw,mode=755',
    '25 30 0:23 /system.slice /mnt/part rw,relatime - cgroup2 cgroup2 rw',
    '26 24 0:24 / /sys/fs/cgroup/uni\\040fied rw,nosuid shared:5 - cgroup2 cgroup2 rw,nsdelegate',
  ];
  expect(cgroup2Mount(mounts.join('\n'))).toBe('/sys/fs/cgroup/uni fied');
  expect(cgroup2Mount(mounts.slice(0, 2).join('\n'))).toBeUndefined();
  expect(cgroup2Mount('')).toBeUndefined();
});
