-- Grants slots to the first of so many requests: each in every window, or none.
--
-- A template: what stands between << and >> is repeated for each limit, with its number for @, and the words in
-- capitals (HEAD, ARGS, COSTS in formats; LAST) become what they are for so many limits. Unrolled, all of a call lies
-- in local variables. What takes time here are calls of the server, and making strings, by their length: so only what
-- changes with every call is read and written, and an entry of a log only when it is made or has to leave; then those
-- that are in no window any more leave with it, eight at a time, so that the next calls find room.
--
-- in:  version, time of the state seen last, requests,
--      for each limit: most, burst, window, grain, room for so many entries in its log,
--      for each request: whether it has tokens, its cost by limit (one, if there are none),
--      how far ahead a slot is of use, generation, epoch
-- out: 0 and now, then the slots; or status, now, when the first that got none could be sent, what the state begins
--      with, then the slots
local call, pack, take = redis.call, struct.pack, struct.unpack
local state, arg, now = KEYS[1], ARGV[1], ARGV[2]
if now then
  now = tonumber(now)
else
  now = call('TIME')
  now = now[1] * 1000000 + now[2]
end
local busy = call('GETRANGE', state, '96', 'LAST')
if busy == '' then return pack('<ddd', 1, now, now) .. string.rep('\0', 104) end
local version, open, horizon, more, renew, skew, before<<, full@, used@, tail@, head@, sent@, spent@>>
  = take('<dddddddHEAD', busy)
local mine, seen, requests<<, most@, burst@, span@, grain@, room@>>, tokens<<, cost@>>, from
  = take('<dddARGSdCOSTS', arg)
now = now + skew
local news = mine ~= version or seen > before or before > now or now > renew
if news then
  local rare = call('GETRANGE', state, '0', '103')
  local gen, hold, epoch, _, _, _, _, _, _, ttl = take('<dddddddddd', rare)
  local my_gen, my_epoch = take('<dd', arg, #arg - 15)
  if before > now then
    skew = skew + before - now
    now = before
  end
  local status = (my_gen ~= gen or seen > before) and 1 or hold > 0 and 2 or my_epoch ~= epoch and 3
  if status then return pack('<ddd', status, now, status == 2 and hold or now) .. rare end
  if now > renew then
    renew = now + ttl * 250
    call('PEXPIRE', state, ttl)
  end
end
local opens, opens_tokens = now, now
if open > now then
  local frozen, frozen_tokens, closed = take('<ddd', call('GETRANGE', state, '24', '47'))
  opens = math.max(now, frozen, closed)
  opens_tokens = math.max(opens, frozen_tokens)
end
local ring = RINGS
<<span@ = span@ + more
local off@, new@, old@, known@ = ring, nil, '', 0
ring = ring + room@ * 16
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
    if u@ + need > most@ then
      local many = t@ + 8
      while t@ < head@ and (t@ < many or u@ + need > most@) do
        local left, cost = sent@, spent@
        if t@ + 1 < head@ then
          if t@ >= known@ then
            if new@ then
              call('SETRANGE', state, off@ + (head@ - 1) % room@ * 16 - #new@, new@)
              new@ = nil
            end
            -- For those behind as well.
            local place = t@ % room@
            local count = math.min(requests - q + 8, head@ - 1 - t@, room@ - place)
            place = off@ + place * 16
            old@, known@ = call('GETRANGE', state, place, place + count * 16 - 1), t@ + count
          end
          left, cost = take('<dd', old@, #old@ + (t@ - known@) * 16 + 1)
        end
        left = left + span@
        if left > now then
          if u@ + need <= most@ then break end
          if left > slot then slot = left end
        end
        u@, t@ = u@ - cost, t@ + 1
      end
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
    if head@ > t@ and (head@ - t@ >= room@
        or grain@ > 0 and sent@ - sent@ % grain@ == slot - slot % grain@) then
      spent@ = spent@ + cost@
    else
      -- The last entry is not in the ring until another one comes.
      new@ = (new@ or '') .. pack('<dd', sent@, spent@)
      if head@ % room@ == 0 then
        call('SETRANGE', state, off@ + room@ * 16 - #new@, new@)
        new@ = nil
      end
      head@, spent@ = head@ + 1, cost@
    end
    sent@ = slot
  end
>>
  if q == 1 then first = slot else slots = slots .. pack('<d', slot) end
end
<<if new@ then call('SETRANGE', state, off@ + (head@ - 1) % room@ * 16 - #new@, new@) end
>>
if news then
  call('SETRANGE', state, '128', pack('<dddHEAD', renew, skew, now<<, full@, used@, tail@, head@, sent@, spent@>>))
else
  call('SETRANGE', state, '144', pack('<dHEAD', now<<, full@, used@, tail@, head@, sent@, spent@>>))
  if first and next == 0 then return pack('<ddd', 0, now, first) .. slots end
end
if first then slots = pack('<d', first) .. slots end
return pack('<ddd', 4, now, next) .. call('GETRANGE', state, '0', '103') .. slots
