import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { HoneyMeshBug, HoneyMeshError } from '#enforcer/errors.ts';
import type { MeshWord } from '#enforcer/mesh/port.ts';
import { createMeshKeeper } from '#enforcer/mesh/thread/keeper.ts';
import { type MeshThread, type MeshThreadDeps, startMeshThread } from '#enforcer/mesh/thread/link.ts';
import type { CallFailure } from '#enforcer/mesh/thread/messages.ts';
import { meshSettings } from '#test/support/mesh-settings.ts';

const entry = fileURLToPath(new URL('../../../../support/mesh-thread-entry.ts', import.meta.url));

interface Started {
  readonly thread: MeshThread;
  readonly words: MeshWord[];
  readonly gone: Promise<{ readonly why: string; readonly failure: CallFailure | null }>;
  readonly up: Promise<void>;
  /** Added to the clock of the link. */
  later(ms: number): void;
}

const started: Started[] = [];

function start(nodeName: string): Started {
  const words: MeshWord[] = [];
  const up = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<{ why: string; failure: CallFailure | null }>();
  let aheadMs = 0;
  const thread = startMeshThread(
    { entry, settings: meshSettings({ nodeName }) },
    {
      onUp: up.resolve,
      onWords: said => words.push(...said),
      onGone: (why, failure) => gone.resolve({ why, failure }),
      monotonicMs: () => performance.now() + aheadMs,
    },
  );
  const all: Started = {
    thread,
    words,
    gone: gone.promise,
    up: up.promise,
    later(ms) {
      aheadMs += ms;
    },
  };
  started.push(all);
  return all;
}

afterEach(() => Promise.all(started.splice(0).map(({ thread }) => thread.stop(0))));

describe('the thread of the mesh', () => {
  test('answers calls, and hands over what its member says', async () => {
    const { thread, words, up } = start('h1');
    await up;
    expect(await thread.call('join')).toEqual({ contacted: 1, failed: [] });
    await thread.call('share', []);
    await vi.waitFor(() => expect(words.map(word => word.kind)).toEqual(['view', 'sent']));
  });

  test('gives what its member throws to the caller, with what mends it, and lives on', async () => {
    const { thread, up } = start('h1');
    await up;
    await expect(thread.call('withdrawItem', 1, true)).rejects.toSatisfy(error => error instanceof HoneyMeshError && error.fix === 'ask for another');
    await expect(thread.call('withdrawItem', 2, true)).rejects.toBeInstanceOf(HoneyMeshBug);
    expect(await thread.call('withdrawItem', 3, true)).toBe(true);
  });

  test('that dies answers open calls with null, and later ones at once', async () => {
    const { thread, gone, up } = start('dies');
    await up;
    expect(await thread.call('join')).toBeNull();
    expect((await gone).why).toContain('code 7');
    expect(await thread.call('share', [])).toBeNull();
  });

  test('that cannot begin says why and what mends it', async () => {
    expect((await start('fails').gone).failure).toEqual({ code: 'HM_CONFIG', why: 'the port is taken', fix: 'choose another' });
  });

  test('that does not turn any more is ended', async () => {
    const { thread, gone, up, later } = start('hangs');
    await up;
    void thread.call('join');
    later(29_000);
    thread.beat();
    later(2_000);
    thread.beat();
    expect((await gone).why).toContain('said nothing');
  });

  test('ends in order when it is told', async () => {
    const { thread, gone, up } = start('h1');
    await up;
    await thread.stop(5_000);
    expect((await gone).why).toContain('code 0');
  });
});

describe('who keeps it', () => {
  test('lives where there is no room for a thread', async () => {
    const down: string[] = [];
    const keeper = createMeshKeeper(
      { entry, settings: meshSettings() },
      {
        onUp: () => {},
        onWords: () => {},
        onDown: why => down.push(why),
        launch() {
          throw new Error('cannot make a thread');
        },
      },
    );
    await keeper.start();
    expect([keeper.state(), down]).toEqual(['down', ['cannot make a thread']]);
    await keeper.stop();
  });

  test('starts it again, later each time, and says so', () => {
    vi.useFakeTimers();
    try {
      const launched: MeshThreadDeps[] = [];
      const down: number[] = [];
      const keeper = createMeshKeeper(
        { entry, settings: meshSettings() },
        {
          onUp: () => {},
          onWords: () => {},
          onDown: (_why, _failure, againInMs) => down.push(againInMs),
          launch(_options, deps) {
            launched.push(deps);
            return { call: () => Promise.resolve(null), beat: () => {}, stop: () => Promise.resolve() };
          },
        },
      );
      void keeper.start();
      expect([keeper.state(), keeper.thread()]).toEqual(['starting', null]);
      launched[0]?.onUp();
      expect(keeper.state()).toBe('up');
      expect(keeper.thread()).not.toBeNull();
      for (let death = 0; death < 10; death++) {
        launched.at(-1)?.onGone('killed', null);
        expect([keeper.state(), keeper.thread()]).toEqual(['down', null]);
        vi.advanceTimersByTime(down.at(-1) ?? 0);
        expect([keeper.state(), keeper.thread()]).toEqual(['down', null]);
      }
      expect(down).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
      expect(launched).toHaveLength(11);
      vi.advanceTimersByTime(60_001);
      launched.at(-1)?.onGone('killed', null);
      expect(down.at(-1)).toBe(250);
    } finally {
      vi.useRealTimers();
    }
  });
});
