"""Sends frames on an interface at a steady pace: traffic-frames.py DEVICE PER_SECOND, the frames as lines of hexadecimal digits on stdin."""
import socket
import sys
import time

wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((sys.argv[1], 0))
pace = float(sys.argv[2])
started = time.monotonic()
for number, line in enumerate(sys.stdin):
    ahead = started + number / pace - time.monotonic()
    if ahead > 0:
        time.sleep(ahead)
    wire.send(bytes.fromhex(line))
