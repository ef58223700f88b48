"""Tells every IP packet that one interface sends or that gets past its packet filter, a JSON line each.

What XDP drops never reaches an AF_PACKET socket, neither in native mode nor in generic mode: what is told here got through.
A line on stdin is answered by "synced" once everything before it has been told; the end of stdin is the end.
"""
import json
import os
import select
import socket
import struct
import sys

SO_RCVBUFFORCE = 33
PACKET_OUTGOING = 4
NAMES = {1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmp6'}
EXTENSIONS = {0, 43, 60}

tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
tap.bind((sys.argv[1], 0))
tap.setblocking(False)


def network(frame):
    """Source, destination, protocol, fragment offset in bytes (None: whole), rest."""
    kind = struct.unpack_from('!H', frame, 12)[0]
    if kind == 0x0800 and len(frame) >= 34:
        word = struct.unpack_from('!H', frame, 20)[0]
        offset = (word & 0x1FFF) * 8 if word & 0x3FFF else None
        return socket.inet_ntop(socket.AF_INET, frame[26:30]), socket.inet_ntop(socket.AF_INET, frame[30:34]), frame[23], offset, frame[14 + (frame[14] & 15) * 4:]
    if kind == 0x86DD and len(frame) >= 54:
        protocol, rest, offset = frame[20], frame[54:], None
        while len(rest) >= 8 and (protocol in EXTENSIONS or protocol == 44):
            if protocol == 44:
                offset = struct.unpack_from('!H', rest, 2)[0] & 0xFFF8
            protocol, rest = rest[0], rest[8 if protocol == 44 else (rest[1] + 1) * 8:]
        return socket.inet_ntop(socket.AF_INET6, frame[22:38]), socket.inet_ntop(socket.AF_INET6, frame[38:54]), protocol, offset, rest
    return None


def describe(frame, way):
    seen = network(frame)
    if seen is None:
        return None
    source, target, protocol, offset, rest = seen
    told = {'way': way, 'from': source, 'to': target, 'protocol': NAMES.get(protocol, str(protocol)), 'fragment': offset}
    if offset in (None, 0) and protocol in (6, 17) and len(rest) >= 4:
        told['fromPort'], told['toPort'] = struct.unpack_from('!HH', rest)
        if protocol == 6 and len(rest) >= 14:
            told['flags'] = ''.join(letter for bit, letter in enumerate('FSRPAU') if rest[13] & (1 << bit))
    elif offset in (None, 0) and protocol in (1, 58) and len(rest) >= 2:
        told['type'], told['code'] = rest[0], rest[1]
        about = rest[8:]
        if (protocol, rest[0]) == (1, 3) and len(about) >= 20:
            about = about[(about[0] & 15) * 4:]
        elif (protocol, rest[0]) == (58, 1):
            about = about[40:]
        else:
            return told
        if len(about) >= 4:
            told['aboutPort'] = struct.unpack_from('!H', about, 2)[0]
    return told


def drain():
    told = []
    while True:
        try:
            frame, where = tap.recvfrom(2048)
        except BlockingIOError:
            break
        packet = describe(frame, 'out' if where[2] == PACKET_OUTGOING else 'in')
        if packet is not None:
            told.append(json.dumps(packet))
    if told:
        print('\n'.join(told))


print('ready', flush=True)
while True:
    ready, _, _ = select.select([tap, sys.stdin], [], [])
    drain()
    if sys.stdin in ready:
        # Not readline: of two lines that come at once it would keep the second in a buffer that select knows nothing of.
        asked = os.read(sys.stdin.fileno(), 65536)
        if asked == b'':
            break
        for _ in range(asked.count(b'\n')):
            print('synced', flush=True)
