"""The traps' UDP sockets for tests, one for each family on one port: marked and transparent, as the launcher makes them. Says in a line of JSON who sent
what to which port, waits for a line, and where that is "answer" answers "trap PORT". Arguments: port (0: any), mark. Says its port first; ends with its
standard input."""
import json
import select
import socket
import struct
import sys

SO_MARK, IP_PKTINFO, IP_TRANSPARENT, IP_RECVORIGDSTADDR, IPV6_TRANSPARENT, IPV6_RECVORIGDSTADDR = 36, 8, 19, 20, 75, 74
MARK = int(sys.argv[2])


def open_socket(family, wanted):
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, SO_MARK, MARK)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 1)
        made.bind(("::", wanted))
    else:
        made.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
        made.setsockopt(socket.IPPROTO_IP, IP_RECVORIGDSTADDR, 1)
        made.bind(("0.0.0.0", wanted))
    return made


def answer(trap):
    question, ancillary, _, peer = trap.recvmsg(2048, 256)
    for _, kind, data in ancillary:
        if kind == IP_RECVORIGDSTADDR:
            port, own = struct.unpack_from("!H", data, 2)[0], data[4:8]
            source = [(socket.IPPROTO_IP, IP_PKTINFO, struct.pack("I4s4s", 0, own, bytes(4)))]
        elif kind == IPV6_RECVORIGDSTADDR:
            port, own = struct.unpack_from("!H", data, 2)[0], data[8:24]
            source = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, own + struct.pack("I", 0))]
        else:
            continue
        print(json.dumps({"from": peer[0], "fromPort": peer[1], "port": port, "said": question.decode("latin1")}), flush=True)
        if sys.stdin.readline() == "answer\n":
            trap.sendmsg([b"trap %d" % port], source, 0, peer)


ipv4 = open_socket(socket.AF_INET, int(sys.argv[1]))
bound = ipv4.getsockname()[1]
traps = [ipv4, open_socket(socket.AF_INET6, bound)]
print(bound, flush=True)
while True:
    readable, _, _ = select.select([*traps, sys.stdin], [], [])
    if sys.stdin in readable:
        break
    for trap in readable:
        answer(trap)
