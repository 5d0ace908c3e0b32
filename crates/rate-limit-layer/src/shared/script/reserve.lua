-- Grants slots to the first of so many requests: each in every window, or none.
--
-- A template: what stands between << and >> is repeated for each limit, with its number for @, and so are the
-- letters after HEAD, ARGS and COSTS in formats. Unrolled, all of a call lies in local variables: tables,
-- strings, and calls of the server are what takes time here.
--
-- in:  generation, epoch, calls seen, guard delta, most guard, clock error, requests,
--      for each limit: most, burst, window, grain, blocks of its log, where that begins,
--      for each request: whether it has tokens, its cost by limit
-- out: status, now, guard, calls, granted, next, what the state begins with; then the slots
local OK, STALE, HELD, OTHER = 0, 1, 2, 3
local AHEAD, HORIZON, SLACK = 1000000, 250000, 2000
local call, pack, take, sub = redis.call, struct.pack, struct.unpack, string.sub
local state, log, arg, now = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
if now then
  now = tonumber(now)
else
  now = call('TIME')
  now = now[1] * 1000000 + now[2]
end
local old = call('GET', state)
if not old then return pack('<dddddd', STALE, now, 0, 0, 0, now) .. string.rep('\0', 88) end
local gen, hold, epoch, frozen, frozen_tokens, closed, members, ttl, _, _, _,
  before, guard, err, last, calls, granted, expire, skew, at = take('<ddddddddddddddddddd', old)
local my_gen, my_epoch, seen, delta, most_guard, my_err, requests<<, most@, burst@, span@, grain@, blocks@, off@>>, from
  = take('<dddddddARGS', arg)
now = now + skew
if before > now then
  skew = skew + before - now
  now = before
end
local status = (my_gen ~= gen or seen > calls) and STALE or hold > 0 and HELD or my_epoch ~= epoch and OTHER or OK
if status ~= OK then
  return pack('<dddddd', status, now, guard, calls, granted, status == HELD and hold or now) .. sub(old, 1, 88)
end

local <<full@, used@, tail@, head@, kept@, sent@, spent@, >>_
<<full@, used@, tail@, head@, kept@, sent@, spent@, >>at = take('<HEAD', old, at)
guard = guard + delta
if guard > most_guard then guard = most_guard end
if guard < 0 then guard = 0 end
err = err - 1
if err < my_err then err = my_err end
<<span@ = span@ + guard + err
local top@, block@ = sub(old, at, at + (head@ - 1) % 8 * 16 - 1), ''
at = at + (head@ - 1) % 8 * 16
if kept@ >= 0 then
  block@ = sub(old, at, at + 127)
  at = at + 128
end
>>
-- More than two slots only as far ahead as leaves all members as much, or the next call needs to come.
local horizon = HORIZON / members
if horizon < 20000 + 4 * my_err then horizon = 20000 + 4 * my_err end
local limit, next, slots = AHEAD, now, {}
for q = 1, requests do
  local tokens<<, cost@>>
  tokens<<, cost@>>, from = take('<dCOSTS', arg, from)
  local slot = now
  if last > slot then slot = last end
  if frozen > slot then slot = frozen end
  if closed > slot then slot = closed end
  if tokens ~= 0 and frozen_tokens > slot then slot = frozen_tokens end
<<
  local u@, t@ = used@, tail@
  if cost@ > 0 then
    local tolerance, need = SLACK, cost@
    if burst@ > cost@ then
      local gain = (burst@ - cost@) * span@ / most@
      gain = gain - gain % 1
      if gain > SLACK then tolerance = gain end
    end
    if full@ - tolerance > slot then slot = full@ - tolerance end
    if need > most@ then need = most@ end
    while u@ + need > most@ and t@ < head@ do
      local place, left, cost = t@ % 8, sent@, spent@
      if t@ + 1 < head@ then
        if t@ - place == kept@ then
          left, cost = take('<dd', block@, place * 16 + 1)
        elseif t@ - place == head@ - 1 - (head@ - 1) % 8 then
          left, cost = take('<dd', top@, place * 16 + 1)
        else
          kept@ = t@ - place
          local offset = off@ + kept@ % (blocks@ * 8) * 16
          block@ = call('GETRANGE', log, offset, offset + 127)
          left, cost = take('<dd', block@, place * 16 + 1)
        end
      end
      if left + span@ > slot then slot = left + span@ end
      u@, t@ = u@ - cost, t@ + 1
    end
  end
>>
  if slot - now > limit then
    next = slot
    break
  end
<<
  if cost@ > 0 then
    local gain = cost@ * span@ / most@
    if slot > full@ then full@ = slot end
    full@ = full@ + gain - gain % 1
    used@, tail@ = u@ + cost@, t@
    if head@ > tail@ and (head@ - tail@ >= blocks@ * 8 - 16
        or grain@ > 0 and sent@ - sent@ % grain@ == slot - slot % grain@) then
      spent@ = spent@ + cost@
    else
      top@ = top@ .. pack('<dd', sent@, spent@)
      if head@ % 8 == 0 then
        call('SETRANGE', log, off@ + (head@ - 8) % (blocks@ * 8) * 16, top@)
        top@ = ''
      end
      head@, spent@ = head@ + 1, cost@
    end
    sent@ = slot
  end
>>
  last, next, granted = slot, slot, granted + 1
  if q > 1 then limit = horizon end
  slots[q] = slot
end
if expire - now < ttl * 750 then
  expire = now + ttl * 1000
  call('PEXPIRE', state, ttl)
  call('PEXPIRE', log, ttl)
end
calls = calls + 1
call('SETRANGE', state, '88', pack('<ddddddddHEAD',
  now, guard, err, last, calls, granted, expire, skew<<, full@, used@, tail@, head@, kept@, sent@, spent@>>)<< .. top@ .. block@>>)
return pack('<dddddd', OK, now, guard, calls, granted, next) .. sub(old, 1, 88)
  .. pack(sub('<dddddddddddddddddddddddddddddddd', 1, #slots + 1), unpack(slots))
