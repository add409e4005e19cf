"""Reads a value that a cached function of a Rust program has stored, as docs/WIRE.md describes it.

    read_value.py redis|memcached PORT NAMESPACE ARGUMENTS OPTIONS SCHEMA

ARGUMENTS are the arguments in the key as a JSON array. OPTIONS are their options in the key as hexadecimal digits: 01 for
each `Some`, 00 for each `None`. SCHEMA is the schema of the value. Prints the value as JSON, or null if there is none that
can be used.
"""

import hashlib
import json
import socket
import struct
import sys
import time

import msgpack
import xxhash

HEADER = struct.Struct(">BBBBQQQIIBBxxQ")
CHECK = 8


def main(kind, port, namespace, arguments, options, schema):
    fetch = {"redis": from_redis, "memcached": from_memcached}[kind]
    connection = socket.create_connection(("127.0.0.1", int(port)), timeout=10)
    with connection, connection.makefile("rwb") as stream:
        # No arguments are encoded as nil.
        key = key_of(namespace, msgpack.packb(json.loads(arguments) or None), bytes.fromhex(options))
        value = fetch(stream, key)
        generation = fetch(stream, key_of(namespace + ".generation", b""))
    opened = open_envelope(key, value, generation, fingerprint_of(schema))
    json.dump(opened, sys.stdout, default=list)  # Bytes as a list of numbers.


def key_of(namespace, arguments, options=b""):
    name = namespace.encode()
    digest = hashlib.sha256(struct.pack(">Q", len(name)) + name)
    digest.update(bytes(-(8 + len(name)) % 64))
    digest.update(struct.pack(">Q", len(arguments)) + arguments + options)
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "_-.:<>,&") else "_" for c in namespace)
    return plain[:120] + ":" + digest.hexdigest()[:32]


def fingerprint_of(schema):
    return int.from_bytes(hashlib.sha256(schema.encode()).digest()[:8], "big")


def open_envelope(key, sealed, generation, own_fingerprint):
    if sealed is None or generation is None or len(sealed) < HEADER.size + CHECK:
        return None
    head, check = sealed[:-CHECK], sealed[-CHECK:]
    if xxhash.xxh3_64_digest(head, seed=xxhash.xxh3_64_intdigest(key.encode())) != check:
        return None
    (
        magic, form, codec, flags, fingerprint, computed_at, fresh_until, compute_time, length, generations, tags, own_generation,
    ) = HEADER.unpack_from(head)
    payload = head[HEADER.size :]
    if (magic, form, flags, generations, tags) != (0xC1, 1, 0, 1, 0) or len(payload) != length:
        return None
    if fingerprint != own_fingerprint:
        return None  # Of another type, or of another version of the type.
    if struct.pack(">Q", own_generation) != generation or fresh_until <= time.time() * 1000:
        return None  # Cleared, or expired.
    decode = {1: lambda: msgpack.unpackb(payload, strict_map_key=False), 2: lambda: json.loads(payload)}
    return {
        "value": decode[codec](),
        "lifetime": fresh_until - computed_at,
        "compute_time": compute_time,
    }


def from_redis(stream, key):
    place = f"cached:{{{key}}}".encode()
    stream.write(b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(place), place))
    stream.flush()
    length = int(stream.readline()[1:])
    return None if length < 0 else stream.read(length + 2)[:-2]


def from_memcached(stream, key):
    stream.write(b"mg cached:%s v\r\n" % key.encode())
    stream.flush()
    answer = stream.readline().split()
    if answer[0] != b"VA":
        return None
    # An empty item is a reservation and not a value.
    return stream.read(int(answer[1]) + 2)[:-2] or None


if __name__ == "__main__":
    main(*sys.argv[1:])
