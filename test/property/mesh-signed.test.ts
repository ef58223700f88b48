/** Whole HM1 layers on a network that loses, doubles and reorders, with one of them lying: what every run must hold, whatever happened. */
import { fc, test } from '@fast-check/vitest';
import { encodeIntel } from '@honeymesh/intel/advisories';
import { type UnixMs, unixMs } from '@honeymesh/intel/time';
import { afterAll, describe, expect } from 'vitest';
import { digestBytes, speakerBytes } from '#enforcer/mesh/signed/exchange-format.ts';
import type { LayerOutput, SignedLayer } from '#enforcer/mesh/signed/signed-layer.ts';
import { advice, keyedHash, layerOf, NOON, prefix, signedBy, trust } from '#test/support/hm1.ts';

const NAMES = ['a', 'b', 'c', 'd'] as const;
/** What happened over all runs: none of it never. */
const happened = { lies: 0, convictions: 0, lifts: 0 };
const RUNS = process.env.HONEYMESH_NIGHTLY === '1' ? 2_000 : 60;

interface Node {
  readonly name: string;
  readonly layer: SignedLayer;
  /** What the policy would hold: by target, the items that stand behind it. */
  readonly holds: Map<string, Set<string>>;
  readonly delivered: string[];
  readonly convicted: Set<string>;
}

/** Packets wait in a bag; `pick` says which one goes, and whether it is lost or stays in the bag for another time. */
function network() {
  const trusted = trust(keyedHash());
  const nodes: Node[] = NAMES.map(name => ({
    name,
    layer: layerOf(trusted, trusted.host(name, name === 'd' ? 'lab' : 'home')).layer,
    holds: new Map(),
    delivered: [],
    convicted: new Set(),
  }));
  for (const one of nodes) {
    const claim = { node: one.name, address: Uint8Array.of(198, 51, 100, 7), port: 7946, incarnation: 1, meta: one.layer.meta(1, new Uint8Array(0)) };
    for (const other of nodes) expect(other.layer.claims.alive(claim, NOON).admitted).toBe(true);
  }
  const bag: { readonly to: Node; readonly from: Node; readonly payload: Uint8Array }[] = [];
  let now: number = NOON;

  function took(node: Node, outputs: readonly LayerOutput[]): void {
    for (const output of outputs) {
      if (output.kind === 'broadcast') for (const to of nodes) if (to !== node) bag.push({ to, from: node, payload: output.payload });
      const receiver = output.kind === 'send-reliable' ? nodes.find(({ name }) => name === output.hop) : undefined;
      if (output.kind === 'send-reliable' && receiver !== undefined) bag.push({ to: receiver, from: node, payload: output.payload });
      if (output.kind === 'misuse') happened.convictions++;
      if (output.kind === 'misuse') node.convicted.add(output.signer.kind === 'node' ? output.signer.nodeName : 'registrar');
      if (output.kind !== 'intel') continue;
      expect(output.issuedAt).toBeLessThanOrEqual(now + 30_000);
      expect(output.endsAt).toBeGreaterThan(now);
      const item = `${output.kid} ${output.epoch}/${output.seq}`;
      node.delivered.push(item);
      happened.lifts += output.withdrawals.length;
      for (const back of output.withdrawals) for (const target of back.targets) node.holds.get(target)?.delete(`${output.kid} ${back.epoch}/${back.seq}`);
      for (const { target } of output.advice) node.holds.set(target, (node.holds.get(target) ?? new Set()).add(item));
    }
  }

  const pushPull = (one: Node, other: Node): void => {
    const [stateOne, stateOther] = [one.layer.localState(false, unixMs(now)), other.layer.localState(false, unixMs(now))];
    took(other, other.layer.merge(stateOne, one.name, unixMs(now)));
    took(one, one.layer.merge(stateOther, other.name, unixMs(now)));
  };

  const deliver = (index: number, keep: boolean): void => {
    const packet = bag[index];
    if (packet === undefined) return;
    if (!keep) bag.splice(index, 1);
    took(packet.to, packet.to.layer.payload(packet.payload, packet.from.name, unixMs(now)));
  };

  return {
    trusted,
    nodes,
    bag,
    took,
    pushPull,
    deliver,
    now: (): UnixMs => unixMs(now),
    wait(ms: number) {
      now += ms;
      for (const node of nodes) took(node, node.layer.tick(unixMs(now)));
    },
    /** Everything arrives, and everybody talks with everybody. */
    calm() {
      for (let round = 0; round < 4; round++) {
        for (const one of nodes) for (const other of nodes) if (one !== other) pushPull(one, other);
        for (let turn = 0; turn < 40; turn++) {
          now += 25;
          for (const node of nodes) took(node, node.layer.tick(unixMs(now)));
          while (bag.length > 0) deliver(0, false);
        }
      }
    },
  };
}

const standing = (node: Node): string[] =>
  [...node.holds]
    .filter(([, items]) => items.size > 0)
    .map(([target]) => target)
    .sort();

const someTargets = fc.array(fc.nat(30), { minLength: 1, maxLength: 5 });
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant('advise' as const), who: fc.nat(2), targets: someTargets }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('withdraw' as const), who: fc.nat(2), targets: someTargets }) },
  {
    weight: 8,
    arbitrary: fc.record({ op: fc.constant('deliver' as const), at: fc.nat(1_000), fate: fc.constantFrom('arrives', 'arrives again later', 'is lost') }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 2_000 }) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('push/pull' as const), one: fc.nat(3), other: fc.nat(3) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('lie' as const),
      seq: fc.integer({ min: 1, max: 6 }),
      epoch: fc.integer({ min: 2, max: 3 }),
      target: fc.nat(30),
      agoMs: fc.nat(3_000),
    }),
  },
);

afterAll(() => {
  for (const [what, count] of Object.entries(happened)) expect(count, `${what} in ${RUNS} runs`).toBeGreaterThan(0);
});

describe('HM1 on a bad network', () => {
  test.prop([fc.array(step, { maxLength: 120, size: 'max' })], { numRuns: RUNS })(
    'ends with all holding what was said and not taken back, each word delivered once, only the liar convicted',
    steps => {
      const net = network();
      const wanted = new Map(NAMES.map(name => [name as string, new Set<string>()]));
      const liesTold = new Set<string>();
      const text = (target: number): string => `203.0.113.${target}/32`;
      net.calm();
      for (const command of steps) {
        const now = net.now();
        if (command.op === 'wait') net.wait(command.ms);
        if (command.op === 'push/pull' && command.one !== command.other) {
          const [one, other] = [net.nodes[command.one], net.nodes[command.other]];
          if (one !== undefined && other !== undefined) net.pushPull(one, other);
        }
        if (command.op === 'deliver' && net.bag.length > 0) {
          const index = command.at % net.bag.length;
          if (command.fate === 'is lost') net.bag.splice(index, 1);
          else net.deliver(index, command.fate === 'arrives again later');
        }
        if (command.op === 'lie') {
          // d says what it likes, as fast as it likes, dated as it likes: to one of the others only.
          const body = encodeIntel({ advice: [advice(`198.18.0.${command.target}/32`)], withdrawals: [] });
          const payload = signedBy(net.trusted.host('d', 'lab'), body, net.trusted.signatures, {
            seq: command.seq,
            epoch: command.epoch,
            issuedAt: unixMs(now - command.agoMs),
          });
          const [to, from] = [net.nodes[command.target % 3], net.nodes[3]];
          if (to !== undefined && from !== undefined) net.bag.push({ to, from, payload });
          liesTold.add(`198.18.0.${command.target}/32`);
        }
        if (command.op !== 'advise' && command.op !== 'withdraw') continue;
        const node = net.nodes[command.who];
        if (node === undefined) continue;
        const targets = command.targets.map(text);
        for (const target of targets) command.op === 'advise' ? wanted.get(node.name)?.add(target) : wanted.get(node.name)?.delete(target);
        const outputs =
          command.op === 'advise'
            ? node.layer.advise(
                targets.map(target => advice(target)),
                now,
              )
            : node.layer.withdraw(targets.map(prefix), false, now);
        net.took(node, outputs);
      }
      net.calm();
      for (const node of net.nodes) {
        expect(new Set(node.delivered).size).toBe(node.delivered.length);
        for (const name of node.convicted) expect(name).toBe('d');
        if (node.name === 'd') continue;
        const byOthers = new Set([...wanted].filter(([name]) => name !== node.name).flatMap(([, targets]) => [...targets]));
        const honest = standing(node).filter(target => target.startsWith('203.'));
        expect(honest).toEqual([...byOthers].sort());
        const lies = standing(node).filter(target => target.startsWith('198.'));
        for (const lie of lies) expect(liesTold).toContain(lie);
        happened.lies += lies.length;
      }
    },
  );

  test('keeps its memory in bounds under a flood of valid envelopes, and still hears the others', () => {
    const net = network();
    net.calm();
    const [a, b] = net.nodes;
    if (a === undefined || b === undefined) throw new Error('no nodes');
    const liar = net.trusted.host('d', 'lab');
    const body = encodeIntel({ advice: Array.from({ length: 80 }, (_, at) => advice(`198.18.7.${at}/32`)), withdrawals: [] });
    let heard = 0;
    for (let seq = 1; seq <= 5_000; seq++) {
      const payload = signedBy(liar, body, net.trusted.signatures, {
        epoch: 9,
        seq: seq * 2,
        issuedAt: unixMs(net.now() - 5_000_000 + seq * 500),
        ttlS: 86_400,
      });
      heard += a.layer.payload(payload, 'd', net.now()).filter(({ kind }) => kind === 'intel').length;
    }
    expect(heard).toBe(16);
    net.took(b, b.layer.advise([advice('203.0.113.99/32')], net.now()));
    while (net.bag.length > 0) net.deliver(0, false);
    expect(standing(a)).toContain('203.0.113.99/32');
  });
});

test.prop([fc.array(fc.array(fc.tuple(fc.nat(2 ** 40), fc.nat(300)), { maxLength: 8 }), { maxLength: 4 })])(
  'a digest is as long as it was reckoned to be, so that it stays within its bound',
  epochs => {
    const numbers = epochs.map((gaps, epoch) => {
      let after = 0;
      const ranges = gaps.map(([gap, length]): [number, number] => {
        const from = after + gap + 1;
        after = from + length;
        return [from, after];
      });
      return { epoch, ranges };
    });
    const kid = trust(keyedHash()).registrar.kid;
    expect(digestBytes({ partial: false, speakers: new Map([[kid, numbers]]) })).toHaveLength(1 + speakerBytes(numbers));
  },
);
