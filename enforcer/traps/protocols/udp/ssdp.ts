/** SSDP (UPnP Device Architecture 1.1, 1.3): a media server's answer to a search, where the search is long enough to be worth it. */
import { bytesOf, hex, latin1 } from '../bytes.ts';
import { malformed, request } from '../observation.ts';
import { type Answer, answerWithin, type DatagramContext, type UdpProtocol } from './responder.ts';

const MOST_HEADERS = 16;
const OWN_TARGETS = ['upnp:rootdevice', 'urn:schemas-upnp-org:device:mediaserver:1', 'urn:schemas-upnp-org:service:contentdirectory:1'];

export const ssdp: UdpProtocol = {
  name: 'ssdp',
  ports: [1900],
  recognise: datagram => latin1(datagram.subarray(0, 9)) === 'M-SEARCH ',
  respond,
};

function respond(datagram: Uint8Array, { persona, destination }: DatagramContext): Answer {
  const [first = '', ...lines] = latin1(datagram).split('\r\n', MOST_HEADERS + 1);
  if (!first.startsWith('M-SEARCH ')) return { observations: [malformed('no SSDP search')] };
  const headers = lines
    .map(line => /^([A-Za-z0-9-]{1,32}):[ \t]*(.*)$/.exec(line))
    .filter(match => match !== null)
    .map(([, name = '', value = '']) => [name, value.trim()] as const);
  const target = headers.find(([name]) => name.toUpperCase() === 'ST')?.[1] ?? '';
  const observations = [request('search', target, headers)];
  const wanted = target === 'ssdp:all' ? 'upnp:rootdevice' : target;
  if (!OWN_TARGETS.includes(wanted.toLowerCase())) return { observations };
  const id = hex(persona.bytes('upnp device', 16));
  const uuid = `${id.slice(0, 8)}-${id.slice(8, 12)}-4${id.slice(13, 16)}-8${id.slice(17, 20)}-${id.slice(20)}`;
  const host = destination.includes(':') ? `[${destination}]` : destination;
  // What finds the device first, then what names it, then the rest: as much as the search is long.
  const lean = `HTTP/1.1 200 OK\r\nST: ${wanted}\r\nLOCATION: http://${host}:8200/rootDesc.xml\r\n`;
  const named = `${lean}USN: uuid:${uuid}::${wanted}\r\n`;
  const full = `${named}CACHE-CONTROL: max-age=1810\r\nEXT:\r\nSERVER: ${persona.release.vendor.split(' ', 1)[0]} DLNADOC/1.50 UPnP/1.0 MiniDLNA/1.3.0\r\nContent-Length: 0\r\n`;
  const fitting = [full, named, lean].find(text => text.length + 2 <= datagram.length);
  return fitting === undefined ? { observations } : answerWithin(datagram, bytesOf(fitting, '\r\n'), observations);
}
