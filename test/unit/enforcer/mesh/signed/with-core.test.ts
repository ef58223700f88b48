import { test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import type { Message } from '#enforcer/mesh/protocol/messages.ts';
import { advice, keyedHash, prefix, type Trust, trust } from '#test/support/hm1.ts';
import { lie, type SignedMesh, signedMesh } from '#test/support/hm1-members.ts';
import { alive, endpointOf } from '#test/support/mesh-member.ts';

const NAMES = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6'] as const;

function joined(more: Parameters<typeof signedMesh>[2] = {}, names: readonly string[] = NAMES): { readonly mesh: SignedMesh; readonly trusted: Trust } {
  const trusted = trust(keyedHash());
  const mesh = signedMesh(trusted, names, more);
  for (const member of mesh.members.slice(1)) mesh.input(member, { kind: 'join', id: 1, targets: [endpointOf('n1')] });
  mesh.pass(10_000);
  return { mesh, trusted };
}

const aliveAt = (mesh: SignedMesh, name: string): number => mesh.member(name).core.stats().alive;
const stateOf = (mesh: SignedMesh, at: string, of: string): string | undefined =>
  mesh
    .member(at)
    .core.members()
    .find(one => one.name === of)?.state;
const tell = (mesh: SignedMesh, to: string, ...messages: Message[]): void => mesh.input(mesh.member(to), { kind: 'packet', from: endpointOf('n99'), messages });

describe('members with signatures required', () => {
  test('find each other, and are all certified', () => {
    const { mesh } = joined();
    for (const { name, layer } of mesh.members) {
      expect(aliveAt(mesh, name)).toBe(NAMES.length);
      for (const other of NAMES) if (other !== name) expect(layer?.claims.isCertified(other, mesh.now())).toBe(true);
    }
  });

  test('ban and lift on all in one hop', () => {
    const { mesh } = joined();
    const n1 = mesh.member('n1');
    mesh.layer(n1, n1.layer?.advise([advice('203.0.113.7/32')], mesh.now()) ?? []);
    mesh.pass(2);
    for (const member of mesh.members.slice(1)) expect(member.holds()).toEqual(['203.0.113.7/32']);
    mesh.pass(500);
    mesh.layer(n1, n1.layer?.withdraw([prefix('203.0.113.7/32')], false, mesh.now()) ?? []);
    mesh.pass(2);
    for (const member of mesh.members.slice(1)) expect(member.holds()).toEqual([]);
  });

  test('hear by push/pull what no datagram brought', () => {
    const { mesh } = joined();
    mesh.loses = (from, to) => from === 'n1' || to === 'n6';
    const n1 = mesh.member('n1');
    mesh.layer(n1, n1.layer?.advise([advice('203.0.113.7/32')], mesh.now()) ?? []);
    mesh.pass(100);
    expect(mesh.members.flatMap(member => member.holds())).toEqual([]);
    mesh.pass(150_000);
    mesh.loses = () => false;
    mesh.pass(60_000);
    for (const member of mesh.members.slice(1)) expect(member.holds()).toEqual(['203.0.113.7/32']);
  });

  test('take no member without a certificate, nor its words', () => {
    const { mesh, trusted } = joined({ unsigned: ['n6'] });
    expect(aliveAt(mesh, 'n1')).toBe(5);
    expect(mesh.member('n1').refused).toContain('vetoed');
    const other = trust(trusted.signatures, ['home']);
    for (const target of ['n1', 'n2']) tell(mesh, target, { kind: 'user', payload: lie(other, 'n66', 1, '198.18.0.1/32', mesh.now()) });
    tell(mesh, 'n1', { kind: 'user', payload: Uint8Array.of(1, 2, 3) });
    expect(mesh.members.flatMap(member => member.holds())).toEqual([]);
    expect(mesh.member('n1').told).toContainEqual(expect.objectContaining({ kind: 'refused', why: 'unknown-key' }));
    expect(mesh.member('n1').told).toContainEqual(expect.objectContaining({ kind: 'refused', why: 'not-hm1' }));
  });

  test('lose nobody to forged goodbyes, forged deaths and impossible incarnations, and no address to a thief', () => {
    const { mesh } = joined();
    for (const name of ['n1', 'n2', 'n3']) {
      tell(mesh, name, { kind: 'dead', node: 'n4', from: 'n4', incarnation: 1 });
      tell(mesh, name, { kind: 'dead', node: 'n5', from: 'n6', incarnation: 1 });
      tell(mesh, name, { kind: 'dead', node: 'n6', from: 'n5', incarnation: 2 ** 32 - 1 });
      tell(mesh, name, alive('n4', 40, { address: Uint8Array.of(203, 0, 113, 66) }));
      const meta = mesh.member('n5').core.self().meta;
      tell(mesh, name, alive('n5', 40, { address: Uint8Array.of(203, 0, 113, 66), meta }));
      for (const of of ['n4', 'n5', 'n6']) expect(['alive', 'suspect']).toContain(stateOf(mesh, name, of));
    }
    mesh.pass(20_000);
    for (const { name, core } of mesh.members) {
      expect(aliveAt(mesh, name)).toBe(NAMES.length);
      for (const one of core.members()) expect([...one.address]).toEqual([...endpointOf(one.name).address]);
    }
  });

  test('let go at once of who says goodbye with its signature', () => {
    const { mesh } = joined();
    const n6 = mesh.member('n6');
    mesh.layer(n6, n6.layer?.leave(n6.core.self().incarnation, mesh.now()) ?? []);
    mesh.input(n6, { kind: 'leave', id: 2, timeoutMs: 2_000 });
    mesh.pass(2_000);
    for (const name of ['n1', 'n2', 'n3', 'n4', 'n5']) expect(stateOf(mesh, name, 'n6')).toBe('left');
  });
});

describe('members with signatures preferred', () => {
  test('live with a node that signs nothing, and take no advice from it', () => {
    const { mesh } = joined({ unsigned: ['n6'], mode: 'preferred' });
    for (const { name } of mesh.members) expect(aliveAt(mesh, name)).toBe(NAMES.length);
    expect(mesh.member('n1').layer?.claims.isCertified('n6', mesh.now())).toBe(false);
    tell(mesh, 'n1', { kind: 'user', payload: new Uint8Array(50) });
    expect(mesh.member('n1').told).toContainEqual(expect.objectContaining({ kind: 'refused', why: 'not-hm1' }));
    // What was certified once is not taken from it.
    tell(mesh, 'n1', alive('n2', 99));
    expect(
      mesh
        .member('n1')
        .core.members()
        .find(one => one.name === 'n2')?.incarnation,
    ).toBe(1);
  });
});
