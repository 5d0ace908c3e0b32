-- Everything but granting: joining the fleet, giving back and settling what was granted, freezes, a new quota.
-- What it is for comes rarely or in batches, so this one is written to be read.
--
-- in:  generation, epoch, time of the state seen last, guard, guard delta, most guard, clock error, frozen, frozen
--      tokens, closed, out since, when this was written, whether it tells what was sent (1, and 2 if nothing more is
--      sent), expected members, beat, what part of the quota this one wants, time to live, limits, corrections,
--      for each limit: most, burst, window, grain, room for so many entries in its log, unit,
--      for each correction: when it was granted, what to take off by limit, what to add by limit,
--      for each limit: entries to seed, and when and what each was
--      the member's name; the quota as the others are to read it
-- out: status, now, until when all are held, what the state begins with; then the quota, if theirs is newer; or after a
--      beat the part up to which each gets what it wants, what each gets besides, what all want, and for each limit how
--      much is used of it and when some of that was: the times and costs of 33 entries all through its log,
--      the first and the last among them
local OK, STALE, OTHER = 4, 1, 3
local HORIZON, HOLD, LATELY, GONE, SAMPLES = 250000, 1500000, 3500000, 25000000, 32
local state, fleet = KEYS[1], KEYS[2]
local call, pack, take = redis.call, struct.pack, struct.unpack
local RARE = { 'gen', 'hold', 'epoch', 'frozen', 'frozen_tokens', 'closed', 'members', 'guard', 'err', 'ttl', 'expected',
  'seeded' }
local BUSY = { 'version', 'open', 'horizon', 'more', 'renew', 'skew', 'now' }
local LIMIT = { 'full', 'used', 'tail', 'head', 'sent', 'spent' }
-- What the state begins with, with room for the most limits there may be; the logs come after that.
local RINGS = 8 * (#RARE + #BUSY + 8 * #LIMIT)

local cursor, arg = 1, ARGV[1]
local function read(count)
  local values = {}
  for i = 1, count do
    values[i], cursor = take('<d', arg, cursor)
  end
  return values
end
local function fields(names, values, into)
  for i, name in ipairs(names) do into[name] = values[i] end
  return into
end
local ask = fields({ 'gen', 'epoch', 'seen', 'guard', 'delta', 'most_guard', 'err', 'frozen', 'frozen_tokens', 'closed',
  'since', 'written', 'tells', 'expected', 'beat', 'want', 'ttl', 'limits', 'corrections' }, read(19), {})
local SHAPE = { 'most', 'burst', 'window', 'grain', 'room', 'unit' }
local shapes = {}
for i = 1, ask.limits do shapes[i] = fields(SHAPE, read(#SHAPE), {}) end
local corrections, seeds = {}, {}
for i = 1, ask.corrections do
  corrections[i] = { at = read(1)[1], less = read(ask.limits), more = read(ask.limits) }
end
for i = 1, ask.limits do
  seeds[i] = {}
  for k = 1, read(1)[1] do seeds[i][k] = read(2) end
end
local name, quota = 'm:' .. ARGV[2], ARGV[3]

local now = tonumber(ARGV[4])
if not now then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
end

-- The state, or a new one.
local s, limits = {}, {}
local old = call('GETRANGE', state, 0, RINGS - 1)
local theirs = call('HGET', fleet, 'quota')
if old == '' or not theirs then
  old, theirs = nil, nil
  call('DEL', state, fleet)
  fields(RARE, { 0, 0, ask.epoch, 0, 0, 0, 0, ask.guard, 0, ask.ttl, 0, 0 }, s)
  fields(BUSY, { 0, 0, 0, 0, 0, 0, 0 }, s)
else
  local at = 1
  local function some(names, into)
    for _, field in ipairs(names) do
      into[field], at = take('<d', old, at)
    end
  end
  some(RARE, s)
  some(BUSY, s)
  local count, place = take('<d', theirs)
  for i = 1, count do
    limits[i] = { shape = {} }
    for _, field in ipairs(SHAPE) do
      limits[i].shape[field], place = take('<d', theirs, place)
    end
  end
  for i = 1, count do some(LIMIT, limits[i]) end
end
now = now + s.skew
if s.now > now then
  s.skew = s.skew + s.now - now
  now = s.now
end

local function span(shape) return shape.window + s.guard + s.err end
local function time(shape, cost)
  local gain = cost * span(shape) / shape.most
  return gain - gain % 1
end

-- Where the log of a limit begins, and what is in it. Its last entry is not: that may still grow.
local function begins(i)
  local off = RINGS
  for k = 1, i - 1 do off = off + limits[k].shape.room * 16 end
  return off
end
local rings = {}
local function entry(i, index)
  local l = limits[i]
  if index == l.head - 1 then return l.sent, l.spent end
  local off, size = begins(i), l.shape.room * 16
  rings[i] = rings[i] or call('GETRANGE', state, off, off + size - 1)
  return take('<dd', rings[i], index * 16 % size + 1)
end
local function write(i, index, sent, spent)
  call('SETRANGE', state, begins(i) + index % limits[i].shape.room * 16, pack('<dd', sent, spent))
  rings[i] = nil
end

-- A log as a list, and a list as a log.
local function entries(i)
  local list = {}
  for index = limits[i].tail, limits[i].head - 1 do list[#list + 1] = { entry(i, index) } end
  return list
end
local function rebuild(i, shape, list)
  while #list > shape.room do
    local half = {}
    for k = 1, #list, 2 do
      local one, other = list[k], list[k + 1]
      half[#half + 1] = other and { other[1], one[2] + other[2] } or one
    end
    list = half
  end
  local l = { shape = shape, full = 0, used = 0, tail = 1, head = #list + 1, sent = 0, spent = 0 }
  limits[i], rings[i] = l, nil
  local text = {}
  for k, entry in ipairs(list) do
    text[k] = pack('<dd', l.sent, l.spent)
    l.used = l.used + entry[2]
    l.full = math.max(l.full, entry[1]) + time(shape, entry[2])
    l.sent, l.spent = entry[1], entry[2]
  end
  if #list > 0 then call('SETRANGE', state, begins(i), table.concat(text)) end
  -- However much it is, the log holds it back no longer than a window.
  l.full = math.min(l.full, now + span(shape))
end
local function merged(one, other)
  local list, k = {}, 1
  for _, entry in ipairs(one) do
    while other[k] and other[k][1] < entry[1] do
      list[#list + 1] = other[k]
      k = k + 1
    end
    list[#list + 1] = entry
  end
  for i = k, #other do list[#list + 1] = other[i] end
  return list
end

-- A generation begins where something may be missing: all are to tell what they sent before any slot is granted.
local function begin(expected)
  s.gen = math.max(now, s.gen + 1)
  s.hold, s.expected, s.seeded = now + HOLD, expected, 0
  for i, l in ipairs(limits) do rebuild(i, l.shape, {}) end
end
-- How many there are, what parts those want who told so lately, and by how much their clocks may be wrong.
local function members()
  local all, count, wants, err = call('HGETALL', fleet), 0, {}, 0
  local lately = now - math.max(LATELY, math.min(s.members * 70000, GONE))
  for i = 1, #all, 2 do
    if all[i] ~= 'quota' then
      local _, seen, _, _, want, its = take('<dddddd', all[i + 1])
      if seen < now - GONE then
        call('HDEL', fleet, all[i])
      else
        count = count + 1
        if seen >= lately then
          wants[#wants + 1] = want
          err = math.max(err, its)
        end
      end
    end
  end
  return count, wants, err
end
-- The level up to which each gets what it wants, and what each gets besides, so that all is given away.
local function level(wants)
  table.sort(wants)
  local left, all = 1, 0
  for _, want in ipairs(wants) do all = all + want end
  for i, want in ipairs(wants) do
    local each = left / (#wants - i + 1)
    if want > each then return each, 0, all end
    left = left - want
  end
  return 1, left / math.max(1, #wants), all
end
local fresh = not old
if fresh then
  s.now = now
  begin(ask.expected)
elseif ask.gen == s.gen and (ask.seen > s.now or ask.since > 0 and 2 * s.now < ask.since + now) then
  -- Grants were lost, or nobody was served while this one was out.
  begin((members()))
end

-- The quota: the later one.
local status, parts = OK, ''
if ask.epoch > s.epoch or fresh then
  local kept = {}
  for i, shape in ipairs(shapes) do
    local list, full = {}, now
    for k, l in ipairs(limits) do
      if l.shape.unit == shape.unit and l.shape.window == shape.window then list, full = entries(k), l.full end
    end
    kept[i] = { list, full }
  end
  call('DEL', state)
  limits = {}
  for i, shape in ipairs(shapes) do
    rebuild(i, shape, kept[i][1])
    limits[i].full = kept[i][2]
  end
  s.epoch, s.ttl, theirs = ask.epoch, ask.ttl, nil
  call('HSET', fleet, 'quota', quota)
elseif ask.epoch < s.epoch then
  status = OTHER
end
if status == OK and ask.gen ~= s.gen and ask.tells == 0 then status = STALE end

s.guard = math.max(0, math.min(s.guard + ask.delta, ask.most_guard))
s.err = math.max(s.err, ask.err)
s.frozen = math.max(s.frozen, ask.frozen)
s.frozen_tokens = math.max(s.frozen_tokens, ask.frozen_tokens)
s.closed = math.max(s.closed, ask.closed)

if status == OK then
  for i, shape in ipairs(shapes) do limits[i].shape = shape end

  -- What was granted is corrected where it counts.
  local function find(i, at)
    local low, high = limits[i].tail, limits[i].head
    while low < high do
      local middle = math.floor((low + high) / 2)
      if entry(i, middle) < at then low = middle + 1 else high = middle end
    end
    return low < limits[i].head and low or nil
  end
  -- The entry of what was granted then: that of its time, or the one it was merged with. The oldest may be
  -- neither, if that one has left already.
  local function granted(i, l, at, cost)
    local index = find(i, at)
    if not index then return nil end
    local sent, spent = entry(i, index)
    local grain = l.shape.grain
    if index == l.tail and sent ~= at and not (grain > 0 and sent - sent % grain == at - at % grain) then
      return nil
    end
    while spent < cost and index + 1 < l.head do
      local after, also = entry(i, index + 1)
      if after ~= at then break end
      index, spent = index + 1, also
    end
    return index
  end
  local function change(i, l, index, by)
    local sent, spent = entry(i, index)
    local left = math.max(0, spent + by)
    l.used = l.used + left - spent
    if index == l.head - 1 then l.spent = left else write(i, index, sent, left) end
  end
  for _, correction in ipairs(corrections) do
    for i, l in ipairs(limits) do
      local less, more = correction.less[i], correction.more[i]
      if less > 0 then
        local index = granted(i, l, correction.at, less)
        if index then change(i, l, index, -less) end
      end
      if more > less then
        l.full = math.max(l.full, now) + time(l.shape, more - less)
      else
        l.full = l.full - time(l.shape, less - more)
      end
      if more > 0 then
        local index = find(i, now)
        if not index and l.head > l.tail and l.head - l.tail >= l.shape.room then
          l.sent, index = now, l.head - 1
        end
        if index then
          change(i, l, index, more)
        else
          write(i, l.head - 1, l.sent, l.spent)
          l.used, l.head, l.sent, l.spent = l.used + more, l.head + 1, now, more
        end
      end
    end
  end

  -- What a member sent, once in a generation, or while it was out. A call may come twice, or late, after one that
  -- was written later: what was written once is not told again.
  local known = call('HGET', fleet, name)
  local told, until_then, quiet = 0, 0, 0
  if known then
    local _
    told, _, until_then, quiet = take('<dddd', known)
  end
  local since = now
  if told ~= s.gen then
    since, until_then = 0, 0
  elseif ask.gen == s.gen and ask.since > 0 then
    since = math.max(ask.since, until_then)
  end
  for i, l in ipairs(limits) do
    local new = {}
    for _, seed in ipairs(seeds[i]) do
      if seed[1] > since and since < now then new[#new + 1] = { math.min(seed[1], now), seed[2] } end
    end
    if #new > 0 then rebuild(i, l.shape, merged(entries(i), new)) end
  end
  call('HSET', fleet, name, pack('<dddddd', s.gen, now, math.max(until_then, math.min(ask.written, now)),
    ask.tells == 2 and s.gen or quiet, ask.want, ask.err))
  if ask.tells == 2 and quiet ~= s.gen then s.seeded = s.seeded + 1 end
  if ask.beat ~= 0 or not known then
    local wants
    s.members, wants, s.err = members()
    parts = pack('<ddd', level(wants))
    for i, l in ipairs(limits) do
      -- Who asks for slots has entries leave only when one is in the way.
      while l.tail < l.head do
        local sent, spent = entry(i, l.tail)
        if sent + span(l.shape) > now then break end
        l.used, l.tail = l.used - spent, l.tail + 1
      end
      local text, len = { pack('<d', l.used) }, l.head - l.tail
      for k = 0, SAMPLES do
        local at, cost = 0, 0
        if len > 0 then at, cost = entry(i, l.tail + math.ceil(k * (len - 1) / SAMPLES)) end
        text[k + 2] = pack('<dd', at, cost)
      end
      parts = parts .. table.concat(text)
    end
  end
  if s.hold > 0 and s.seeded >= s.expected then
    s.hold = 0
  elseif s.hold > 0 and now >= s.hold then
    -- Some did not come. What they may have sent is taken for their part of the limits.
    for i, l in ipairs(limits) do
      local part = l.shape.most * (s.expected - s.seeded) / s.expected
      if part - part % 1 > 0 then
        rebuild(i, l.shape, merged({ { s.gen, part - part % 1 } }, entries(i)))
      end
    end
    s.hold = 0
  end
end
s.now, s.renew = now, now + s.ttl * 250
s.open = math.max(s.frozen, s.frozen_tokens, s.closed)
s.horizon = HORIZON / math.max(1, s.members)
s.more = s.guard + s.err

local text = {}
local function put(names, from)
  for _, field in ipairs(names) do text[#text + 1] = pack('<d', from[field]) end
end
put(RARE, s)
local rare = table.concat(text)
-- Whoever knows the version knows what stands before it. While all are held nobody may take it for known.
if not old or rare ~= string.sub(old, 1, 96) then
  s.version = math.max(now, math.abs(s.version) + 1)
  if s.hold > 0 then s.version = -s.version end
end
put(BUSY, s)
for _, l in ipairs(limits) do put(LIMIT, l) end
text = table.concat(text)
call('SETRANGE', state, 0, text .. string.rep('\0', RINGS - #text))
call('PEXPIRE', state, s.ttl)
call('PEXPIRE', fleet, s.ttl)
return pack('<ddd', status, now, s.hold > 0 and s.hold or now) .. rare .. pack('<d', s.version)
  .. (status == OTHER and theirs or parts)
