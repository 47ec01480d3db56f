"""How servers keep parts, and what they compare before they write.

A part is its version and its data, in a field that is called by its slot. The scripts are in Lua;
each reads and writes one key.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from gateway_guard.stores.base import STANDING, VERSION, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

_INSTANT = struct.Struct(">d")

WRITE = """
local old, new = redis.call('HGET', KEYS[1], ARGV[1]), ARGV[2]
if old then
  local a, b, c = struct.unpack('>I4I4I8', old)
  local x, y, z = struct.unpack('>I4I4I8', new)
  if a > x or (a == x and (b > y or (b == y and c >= z))) then return 0 end
end
local standing = redis.call('HGET', KEYS[1], '65535')
if standing and struct.unpack('>I4', standing) > struct.unpack('>I4', new) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], new)
local slot = tonumber(ARGV[1])
if slot < 61440 or slot == 65535 then
  redis.call('HINCRBY', KEYS[1], 'changes', 1)
  redis.call('HINCRBY', KEYS[1], 'own' .. ARGV[1], 1)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
READ = """
local time, own = redis.call('TIME'), math.floor(ARGV[1] / 8)
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fields, records, members, found = redis.call('HGETALL', KEYS[1]), {}, {}, {}
for at = 1, #fields, 2 do
  local slot, value = tonumber(fields[at]), fields[at + 1]
  if #value < 16 then slot = nil end
  if slot and slot >= 61440 and slot < 65535 then
    records[slot - 61440] = value
  elseif slot and (slot == 65535 or math.floor(slot / 8) == own) then
    found[#found + 1], found[#found + 2] = slot, value
  elseif slot then
    local group = math.floor(slot / 8)
    members[group] = members[group] or {}
    members[group][slot] = value
  end
end
for group, parts in pairs(members) do
  local record, whole, pardoned = records[group], false, false
  if record and #record > 16 then
    local reset, _, made = struct.unpack('>I4I4I8', record)
    local contained = {}
    for at = 0, string.byte(record, 17) - 1 do
      local entry = string.sub(record, 18 + 18 * at, 35 + 18 * at)
      contained[struct.unpack('>I2', entry)] = string.sub(entry, 3)
    end
    whole = true
    for slot, value in pairs(parts) do
      whole = whole and contained[slot] == string.sub(value, 1, 16)
      pardoned = pardoned or struct.unpack('>I4', value) > reset
    end
    whole = not pardoned and (whole or now - made < 1000)
  end
  if whole then
    found[#found + 1], found[#found + 2] = 61440 + group, record
  else
    for slot, value in pairs(parts) do
      found[#found + 1], found[#found + 2] = slot, value
    end
  end
end
return found
"""
VOID = """
local standing = redis.call('HGET', KEYS[1], '65535')
if not standing then return 0 end
local reset, dropped = struct.unpack('>I4', standing), 0
local fields = redis.call('HGETALL', KEYS[1])
for at = 1, #fields, 2 do
  local slot, value = fields[at], fields[at + 1]
  if tonumber(slot) and #value >= 4 and struct.unpack('>I4', value) < reset then
    redis.call('HDEL', KEYS[1], slot, 'own' .. slot)
    dropped = dropped + 1
  end
end
return dropped
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

OUTDATE = """
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and tonumber(string.match(held, '(%d+) ')) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' 0')
return 1
"""


def packed(part: Part) -> bytes:
    """Return what is kept of a part in its field."""
    until_at = _INSTANT.pack(part.until_at) if part.slot == STANDING else b""
    return VERSION.pack(*part.version) + until_at + part.data


def unpacked(subject: bytes, slot: int, value: bytes) -> Part | None:
    """Return the part that is kept in a slot's field, ``None`` where something else is."""
    if len(value) < VERSION.size + (_INSTANT.size if slot == STANDING else 0):
        return None
    reset, epoch, sequence = VERSION.unpack_from(value)
    data, until_at = value[VERSION.size :], 0.0
    if slot == STANDING:
        [until_at], data = _INSTANT.unpack_from(data), data[_INSTANT.size :]
    return Part(subject, slot, (reset, epoch, sequence), data, until_at)


def unpacked_all(subject: bytes, found: Sequence[Any]) -> list[Part]:
    """Return parts from their slots and values, which take turns; what is none is left out."""
    pairs = zip(found[::2], found[1::2], strict=True)
    parts = [unpacked(subject, int(slot), value) for slot, value in pairs]
    return [part for part in parts if part is not None]
