-- Grants slots to the first of so many requests: each in every window, or none.
--
-- A template: what stands between << and >> is repeated for each limit, with its number for @, and the words in
-- capitals (HEAD, ARGS, COSTS in formats; TOP@, BLOCK@, FILL@) become what they are for so many limits. Unrolled,
-- all of a call lies in local variables: strings, packing and calls of the server are what takes time here, so
-- that nothing is unpacked which seldom changes: whoever knows its version knows it.
--
-- in:  version, time of the state seen last, requests,
--      for each limit: most, burst, window, grain, blocks of its log, where that begins,
--      for each request: whether it has tokens, its cost by limit (one, if there are none),
--      how far ahead a slot is of use, generation, epoch
-- out: 0 and now, then the slots; or status, now, when the first that got none could be sent, what the state begins
--      with, then the slots
local call, pack, take, sub = redis.call, struct.pack, struct.unpack, string.sub
local state, arg, now = KEYS[1], ARGV[1], ARGV[2]
if now then
  now = tonumber(now)
else
  now = call('TIME')
  now = now[1] * 1000000 + now[2]
end
local old = call('GET', state)
if not old then return pack('<ddd', 1, now, now) .. string.rep('\0', 104) end
local version, open, horizon, more, renew, skew, before<<, full@, used@, tail@, head@, kept@, sent@, spent@>>
  = take('<dddddddHEAD', old, 97)
local mine, seen, requests<<, most@, burst@, span@, grain@, blocks@, off@>>, tokens<<, cost@>>, from
  = take('<dddARGSdCOSTS', arg)
now = now + skew
local news = mine ~= version or seen > before or before > now or now > renew
if news then
  local gen, hold, epoch, _, _, _, _, _, _, ttl = take('<dddddddddd', old)
  local my_gen, my_epoch = take('<dd', arg, #arg - 15)
  if before > now then
    skew = skew + before - now
    now = before
  end
  local status = (my_gen ~= gen or seen > before) and 1 or hold > 0 and 2 or my_epoch ~= epoch and 3
  if status then return pack('<ddd', status, now, status == 2 and hold or now) .. sub(old, 1, 104) end
  if now > renew then
    renew = now + ttl * 250
    call('PEXPIRE', state, ttl)
    call('PEXPIRE', KEYS[2], ttl)
  end
end
local opens, opens_tokens = now, now
if open > now then
  local _, _, _, frozen, frozen_tokens, closed = take('<dddddd', old)
  opens = math.max(now, frozen, closed)
  opens_tokens = math.max(opens, frozen_tokens)
end
<<span@ = span@ + more
local pre@, top@ = nil, ''
>>
-- The first two slots at most a second ahead; more only as far as leaves all members as much.
local limit, next, first, slots = now + 1000000, 0, nil, ''
for q = 1, requests do
  if q > 1 then
    tokens<<, cost@>>, from = take('<dCOSTS', arg, from)
    if q == 3 then limit = now + math.max(horizon, (take('<d', arg, #arg - 23))) end
  end
  local slot = opens
  if tokens ~= 0 then slot = opens_tokens end
<<
  local u@, t@ = used@, tail@
  if cost@ > 0 then
    if sent@ > slot then slot = sent@ end
    -- A timer fires up to a tick late; a bucket without slack would lose that with each request.
    if full@ - 2000 > slot then
      local room = full@ - 2000
      if burst@ > cost@ then
        local gain = (burst@ - cost@) * span@ / most@
        gain = full@ - (gain - gain % 1)
        if gain < room then room = gain end
      end
      if room > slot then slot = room end
    end
    local need = cost@
    if need > most@ then need = most@ end
    while u@ + need > most@ and t@ < head@ do
      local place, left, cost = t@ % 8 * 16, sent@, spent@
      if t@ + 1 < head@ then
        if t@ - t@ % 8 == head@ - 1 - (head@ - 1) % 8 then
          if pre@ then
            left, cost = take('<dd', pre@ .. top@, place + 1)
          else
            left, cost = take('<dd', old, TOP@ + place)
          end
        else
          if t@ - t@ % 8 ~= kept@ then
            kept@ = t@ - t@ % 8
            local offset = off@ + kept@ % (blocks@ * 8) * 16
            local block = call('GETRANGE', KEYS[2], offset, offset + 127)
            call('SETRANGE', state, BLOCK@ - 1, block)
            old = sub(old, 1, BLOCK@ - 1) .. block .. sub(old, BLOCK@ + 128)
          end
          left, cost = take('<dd', old, BLOCK@ + place)
        end
      end
      if left + span@ > slot then slot = left + span@ end
      u@, t@ = u@ - cost, t@ + 1
    end
  end
>>
  if slot > limit then
    next = slot
    break
  end
<<
  if cost@ > 0 then
    local gain = cost@ * span@ / most@
    if slot > full@ then full@ = slot end
    full@, used@, tail@ = full@ + (gain - gain % 1), u@ + cost@, t@
    if head@ > t@ and (head@ - t@ >= blocks@ * 8 - 16
        or grain@ > 0 and sent@ - sent@ % grain@ == slot - slot % grain@) then
      spent@ = spent@ + cost@
    else
      if pre@ then
        top@ = top@ .. pack('<dd', sent@, spent@)
      else
        pre@, top@ = sub(old, TOP@, TOP@ - 1 + (head@ - 1) % 8 * 16), pack('<dd', sent@, spent@)
      end
      if head@ % 8 == 0 then
        call('SETRANGE', KEYS[2], off@ + (head@ - 8) % (blocks@ * 8) * 16, pre@ .. top@)
        pre@, top@ = '', ''
      end
      head@, spent@ = head@ + 1, cost@
    end
    sent@ = slot
  end
>>
  if q == 1 then first = slot else slots = slots .. pack('<d', slot) end
end
if news then
  call('SETRANGE', state, '128', pack('<dddHEAD', renew, skew, now<<, full@, used@, tail@, head@, kept@, sent@, spent@>>)<< .. (pre@ or '') .. top@FILL@>>)
else
  call('SETRANGE', state, '144', pack('<dHEAD', now<<, full@, used@, tail@, head@, kept@, sent@, spent@>>)<< .. (pre@ or '') .. top@FILL@>>)
  if first and next == 0 then return pack('<ddd', 0, now, first) .. slots end
end
if first then slots = pack('<d', first) .. slots end
return pack('<ddd', 4, now, next) .. sub(old, 1, 104) .. slots
