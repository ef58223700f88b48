/**
 * A program: real services for a host under attack. `traffic-services.ts ADDRESS TCPPORT,... UDPPORT,...`
 * TCP greets with `real` and echoes. UDP echoes; a port above 20,000 only swallows. Says `listening` when all listen.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

const [address = '::', tcpPorts = '', udpPorts = ''] = process.argv.slice(2);
const ports = (list: string): number[] => list.split(',').filter(Boolean).map(Number);
const SWALLOWS_ABOVE = 20_000;

for (const port of ports(tcpPorts)) {
  const server = createServer(socket => {
    socket.on('error', () => {}); // a client may reset at any time
    socket.write('real');
    socket.on('data', chunk => socket.write(chunk));
  });
  server.listen(port, address, 1024);
  await once(server, 'listening');
}
for (const port of ports(udpPorts)) {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  if (port < SWALLOWS_ABOVE) socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  socket.bind(port, address);
  await once(socket, 'listening');
}
process.stdout.write('listening\n');
