/** What test/interop/peer runs. */
import { runPeer } from './peer.ts';

await runPeer();
