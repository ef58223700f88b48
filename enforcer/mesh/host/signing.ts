/** HM1 beside the core: the layer of a host that signs, and the core's questions to it. */
import { LONGEST_ENVELOPE_BYTES } from '@honeymesh/intel/envelope';
import type { UnixMs } from '@honeymesh/intel/time';
import { hostOf, textOfEndpoint } from '../node/places.ts';
import type { Endpoint } from '../protocol/core/endpoint.ts';
import type { Hooks } from '../protocol/core/hooks.ts';
import { largestUserPayload } from '../protocol/wire/packet.ts';
import { ANTI_ENTROPY_LIMITS } from '../signed/anti-entropy.ts';
import { isExchange } from '../signed/exchange-format.ts';
import { BOOK_LIMITS } from '../signed/live-book.ts';
import { createSignedLayer, type LayerOutput, type SignedLayer } from '../signed/signed-layer.ts';
import { createForgeries } from './forgeries.ts';
import { type Neighbours, shownName } from './neighbours.ts';
import type { Signer } from './who.ts';

export interface SigningOptions {
  readonly label: Uint8Array;
  readonly packetBytes: number;
  readonly keys: readonly Uint8Array[];
  readonly keyGeneration: number;
  /** It is on the disk already. */
  readonly epoch: number;
}

export interface Signing {
  readonly layer: SignedLayer;
  readonly hooks: Hooks;
}

export interface SigningDeps {
  readonly now: () => UnixMs;
  readonly neighbours: Neighbours;
  readonly refused: (why: string, from: string | null) => void;
  /** Outputs that arise where the core is busy, to be carried out after it. */
  readonly later: (outputs: readonly LayerOutput[]) => void;
}

/** A foreign word of death counts where so many signed it. */
const ACCUSERS = 2;
const NOTHING = new Uint8Array();

export function createSigning(signer: Signer, advertised: Endpoint, options: SigningOptions, { now, neighbours, refused, later }: SigningDeps): Signing {
  const { roster, signatures, clusterId, certificate, edSecret, xSecret, mode } = signer;
  const longest = largestUserPayload({ label: options.label, encryption: 1, largestPacket: options.packetBytes });
  const layer = createSignedLayer(
    {
      mode,
      clusterId,
      identity: { certificate, edSecret, xSecret },
      advertise: advertised,
      lastEpoch: options.epoch - 1,
      longestEnvelopeBytes: Math.min(LONGEST_ENVELOPE_BYTES, longest),
      keys: options.keys,
      keyGeneration: options.keyGeneration,
      accusers: ACCUSERS,
      book: BOOK_LIMITS,
      antiEntropy: ANTI_ENTROPY_LIMITS,
    },
    { roster, signatures },
  );
  const forgeries = createForgeries();
  later(layer.start(now()).filter(output => output.kind !== 'persist-epoch'));
  later(layer.persisted(options.epoch, now()));

  const hooks: Hooks = {
    meta: (incarnation, extra) => layer.meta(incarnation, extra),
    admitAlive(claim, _known, exchange) {
      // A list may hold twenty thousand, and each forged one costs a check: over a second for one exchange. A stream's source is who it says it is.
      const source = exchange === null ? null : hostOf(exchange);
      if (source !== null && !forgeries.mayGoOn(source, now())) {
        refused('alive: too-many-forged', source);
        return false;
      }
      const verdict = layer.claims.alive(claim, now());
      if (verdict.admitted) return true;
      if (source !== null && (verdict.why === 'bad-signature' || verdict.why === 'bad-meta-signature')) forgeries.add(source, now());
      refused(`alive: ${verdict.why}`, shownName(claim.node));
      return false;
    },
    admitAccusation: claim => layer.claims.accusation(claim, now()),
    hearsUsers: member => neighbours.certificateOf(member.name, now()) !== null,
    // Where it dialled, what it lacks goes along with our answer: then it is not answered a second time, and its port is nobody's.
    merging: ({ userState, from, dialled }) => later(layer.merge(userState, dialled ? textOfEndpoint(from) : hostOf(from), now(), !dialled)),
    localState(join, asked, there) {
      // memberlist's own nodes say nothing of ours, and are told nothing.
      if (asked !== null && !isExchange(asked.userState)) return NOTHING;
      if (there.some(({ name }) => neighbours.certificateOf(name, now()) !== null)) return layer.localState(join, now(), asked?.userState);
      // Who fell with its registrar is to hear of that: it believes us, though we do not believe it any more.
      if (there.some(({ name }) => roster.wasCertified(name))) return layer.introduction();
      // A member without a certificate, or whoever dials us, or an address of the join list turns out to be.
      return asked === null && there.length > 0 ? NOTHING : layer.introduction();
    },
  };

  return { layer, hooks };
}
