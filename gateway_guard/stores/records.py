"""How servers keep parts, and what they compare before they write.

A part is its version and its data, in a field that is called by its slot. The scripts are in Lua;
each reads and writes one key.
"""

from __future__ import annotations

import struct

from gateway_guard.exceptions import StoreError
from gateway_guard.stores.base import STANDING, VERSION, Part

_INSTANT = struct.Struct(">d")

WRITE = """
local old, new = redis.call('HGET', KEYS[1], ARGV[1]), ARGV[2]
if old then
  local a, b, c = struct.unpack('>I4I4I8', old)
  local x, y, z = struct.unpack('>I4I4I8', new)
  if a > x or (a == x and (b > y or (b == y and c >= z))) then return 0 end
end
redis.call('HSET', KEYS[1], ARGV[1], new)
redis.call('HINCRBY', KEYS[1], 'changes', 1)
redis.call('HINCRBY', KEYS[1], 'own' .. ARGV[1], 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
LEASE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for slot = 0, tonumber(ARGV[2]) - 1 do
  local held = redis.call('HGET', KEYS[1], slot)
  local epoch, ends = 0, 0
  if held then epoch, ends = string.match(held, '(%d+) (%d+)') end
  if tonumber(ends) <= now then
    epoch = held and tonumber(epoch) + 1 or tonumber(time[1])
    redis.call('HSET', KEYS[1], slot, epoch .. ' ' .. string.format('%.0f', now + ARGV[1]))
    return {slot, epoch}
  end
end
return {-1, 0}
"""
RENEW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and string.match(held, '(%d+) ') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', now + ARGV[3]))
return 1
"""


def packed(part: Part) -> bytes:
    """Return what is kept of a part in its field."""
    until_at = _INSTANT.pack(part.until_at) if part.slot == STANDING else b""
    return VERSION.pack(*part.version) + until_at + part.data


def unpacked(subject: bytes, field: bytes, value: bytes) -> Part:
    """Return the part that is kept in a field.

    Raises:
        StoreError: there is none.

    """
    try:
        slot, (reset, epoch, sequence) = int(field), VERSION.unpack_from(value)
        data, until_at = value[VERSION.size :], 0.0
        if slot == STANDING:
            [until_at], data = _INSTANT.unpack_from(data), data[_INSTANT.size :]
    except (ValueError, struct.error):
        message = "what the server keeps is no part"
        hint = "something else has written to its keys: set GATEWAY_GUARD_NAMESPACE to another name"
        raise StoreError(message, hint=hint, kind="damaged") from None
    return Part(subject, slot, (reset, epoch, sequence), data, until_at)
