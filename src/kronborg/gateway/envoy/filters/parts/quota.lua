-- Quotas: how many calls a principal has left in its window (one memory per worker).
-- Leased: units come from the control process in batches, renewed before they are spent: never one call too many.
-- Counted: calls are counted here and told each second, or four times a second as soon as they are more than a twentieth
-- of what is left; the answer says how much all gateways have used.
--
-- What is to be told goes out in one call for many counters, and nobody waits for it: its answer comes in a file, which
-- a later request takes up (`gateway/quota_answers.py`). A request waits only where nothing at all is left of a lease,
-- or a refusal would not know until when, and nobody has said yet that the window is used up.
-- Each call has a number. One without an answer is made again with the same number, and counts once.

local QUOTA_CLUSTER = "exchange"
local QUOTA_SECRET_FILE = @SECRET_FILE@
local QUOTA_FOLDER = @QUOTA_FOLDER@
local ASK_MS = 1000               -- how long a request waits
local TELL_MS = 250               -- how long calls may stay untold
local FAR_MS = 1000               -- the same, while they are few beside what is left
local FEW = 20                    -- so many times as many are left
local FLUSH_MS = 50               -- between two calls that nobody waits for
local LOOK_MS = 5                 -- between two looks for answers
local AGAIN_MS = 1000             -- after this a call without an answer is made again
local GIVE_UP_MS = 60000          -- and after this no more
local BELIEVED_MS = 1000          -- how long a "no" is believed: a reset is noticed within this time
local IDLE_MS = 10000             -- a lease that nobody used for so long is given back
local QUOTAS_PER_GENERATION = 8192
local MOST_RECORDS, MOST_BYTES = 512, 48 * 1024 -- in one call
local MOST_FLIGHTS = 256          -- calls under way
local LEAST_BATCH, MOST_BATCH = 16, 10000 -- units of one lease
local LASTS_MS = 2000             -- how long a batch should last
local LONGEST_IDENTITY = 256      -- longer ones that begin alike share a counter

local quota_young, quota_old, quota_count = {}, {}, 0
local queue, queue_first, queue_last = {}, 1, 0 -- counters of which something is to be told
local flights, in_air, flight_number = {}, 0, 0
local regular = nil               -- the call under way for which nobody waits
local worker = nil                -- the name of this memory
local due_ms, flushed_ms, looked_ms, swept_ms, quota_clock = math.huge, 0, 0, 0, 0

local function plain(text)
  if #text > LONGEST_IDENTITY then
    text = text:sub(1, LONGEST_IDENTITY)
  end
  if text:find("[%c%%]") then
    text = text:gsub("[%c%%]", function(one) return ("%%%02X"):format(one:byte()) end)
  end
  return text
end

-- Who is counted. Claims were verified; a name is one principal's only together with who issued it.
local function identity_of(request, quota)
  local per, claims = quota.per, request.claims
  local found
  if per == "route" then
    return "all"
  elseif per == "address" then
    return network_of(request.handle)
  elseif per == "header" then
    return plain(request.headers:get(quota.identifier) or "")
  elseif per == "key" then
    found = request.headers:get("x-kronborg-key")
  elseif per == "client" then
    found = claims.client_id
  elseif per == "user" then
    found = claims.sub or claims.client_id
  else
    found = claims[quota.identifier]
  end
  local kind = type(found)
  if kind ~= "string" then
    -- `tostring` would drop the last digits of large numbers, and two tenants would share a counter.
    found = kind == "number" and ("%.17g"):format(found) or kind == "boolean" and tostring(found) or ""
  end
  found = plain(found)
  if request.token ~= nil and not request.token.ours then
    return plain(claims.iss) .. "\t" .. found
  end
  return found
end

-- The key of a counter; what only the token decides is remembered with the token.
local function key_of(request, quota)
  local token, per = request.token, quota.per
  if token == nil or per == "address" or per == "header" or per == "key" then
    return quota.name .. "\n" .. identity_of(request, quota)
  end
  local tag = quota.tag
  if tag == nil then
    tag = quota.name .. "\n" .. per .. "\n" .. (quota.identifier or "")
    quota.tag = tag
  end
  -- Most tokens meet one quota: no table is kept for that.
  if token.quota_tag == tag then
    return token.quota_key
  end
  local keys = token.quota_keys
  local key = keys and keys[tag]
  if key == nil then
    key = quota.name .. "\n" .. identity_of(request, quota)
    if token.quota_tag == nil then
      token.quota_tag, token.quota_key = tag, key
      return key
    end
    keys = keys or {}
    keys[tag] = key
    token.quota_keys = keys
  end
  return key
end

-- Tells of a counter by that moment at the latest.
local function enqueue(entry, by_ms)
  if by_ms < due_ms then
    due_ms = by_ms
  end
  if not entry.queued then
    entry.queued = true
    queue_last = queue_last + 1
    queue[queue_last] = entry
  end
end

local function give_lease_back(entry, now)
  if now < entry.ends then
    entry.spent = entry.spent - entry.left
    enqueue(entry, now + TELL_MS)
  end
  entry.left = 0
end

local function quota_entry(request, quota)
  local key = key_of(request, quota)
  local entry = quota_young[key]
  if entry ~= nil and entry.leased == quota.leased then
    return entry
  end
  entry = entry or quota_old[key]
  if entry == nil or entry.leased ~= quota.leased then
    entry = {
      key = key, leased = quota.leased,
      left = 0, got = 0, got_ms = 0, ends = 0, -- the lease
      used = 0, reset = 0, known = 0, -- what was said last
      spent = 0, flying = 0, -- not told yet; told, and not answered
      calls = 0, crossed = false, -- calls under way; whether there were two, of which either may be counted first
      wish = 0, seen = 0, refused = 0, short_of = 0, queued = false, failed = nil,
    }
  end
  if quota_count >= QUOTAS_PER_GENERATION then
    for _, forgotten in pairs(quota_old) do
      if forgotten.leased and forgotten.left > 0 and quota_young[forgotten.key] == nil then
        give_lease_back(forgotten, request.now_ms)
      end
    end
    quota_old, quota_young, quota_count = quota_young, {}, 0
  end
  quota_young[key] = entry
  quota_count = quota_count + 1
  return entry
end

local function quota_line(path, kind)
  local file = assert(io.open(path, "rb"))
  local text = kind == "*l" and file:read("*l") or file:read(kind)
  file:close()
  return assert(text)
end

-- Makes the call of a flight. Without `asynchronous` others run until it is answered.
local function send(handle, flight, asynchronous)
  return handle:httpCall(QUOTA_CLUSTER, {
    [":method"] = "POST",
    [":path"] = "/quota",
    [":authority"] = "quota",
    ["x-kronborg-exchange"] = quota_line(QUOTA_SECRET_FILE, "*l"),
    ["x-kronborg-tell"] = worker .. "-" .. flight.number .. (asynchronous and "-file" or ""),
    ["content-type"] = "text/plain",
  }, flight.body, ASK_MS, asynchronous)
end

-- A call yet to be made; what its counters have spent is in the air from now on.
local function new_flight(records, body, now)
  if worker == nil then
    worker = quota_line("/dev/urandom", 8):gsub(".", function(one) return ("%02x"):format(one:byte()) end)
  end
  flight_number = flight_number + 1
  local flight = { number = flight_number, records = records, body = body, began = now, sent = now, awaited = false }
  flights[flight_number] = flight
  in_air = in_air + 1
  return flight
end

local function record_of(entry, want, least)
  local spent = entry.spent
  entry.flying, entry.spent = entry.flying + spent, 0
  entry.crossed = entry.crossed or entry.calls > 0
  entry.calls = entry.calls + 1
  local line = entry.key .. "\n" .. spent .. "\n" .. want .. "\n" .. least .. "\n"
  return { entry = entry, spent = spent, want = want, least = least }, line
end

local function landed(flight)
  for _, record in ipairs(flight.records) do
    local entry = record.entry
    entry.flying, entry.calls = entry.flying - record.spent, entry.calls - 1
  end
  if flights[flight.number] == flight then
    flights[flight.number] = nil
    in_air = in_air - 1
  end
  if regular == flight then
    regular = nil
  end
end

-- Takes in an answer: a line for each counter. False when it is none.
local function settle(flight, text, now)
  local lines = text and text:gmatch("(%d+) (%d+) (%d+) (%d+)\n") or nil
  local told = {}
  for at = 1, #flight.records do
    local granted, used, ends, reset
    if lines ~= nil then
      granted, used, ends, reset = lines()
    end
    if granted == nil then
      return false
    end
    told[at] = { tonumber(granted), tonumber(used), tonumber(ends), tonumber(reset) }
  end
  landed(flight)
  for at, record in ipairs(flight.records) do
    local entry, granted = record.entry, told[at][1]
    -- An answer may be older than what was counted by another call meanwhile.
    entry.used = entry.crossed and math.max(entry.used, told[at][2]) or told[at][2]
    entry.crossed = entry.crossed and entry.calls > 0
    -- From when it was asked at the earliest, so that no lease is good for longer than its giver means.
    entry.ends, entry.reset, entry.known = flight.began + told[at][3], now + told[at][4], now
    if record.want > 0 then
      entry.wish = 0
      if granted > 0 then
        entry.left = entry.left + granted
        entry.got, entry.got_ms, entry.refused = entry.left, now, 0
      else
        entry.refused, entry.short_of = now, math.max(record.least, 1)
      end
    end
  end
  return true
end

-- Nobody answered for long: what was spent is still to be told.
local function give_up(flight, now)
  landed(flight)
  for _, record in ipairs(flight.records) do
    local entry = record.entry
    entry.crossed = entry.crossed and entry.calls > 0
    entry.wish = 0
    if record.spent ~= 0 then
      entry.spent = entry.spent + record.spent
      enqueue(entry, now + TELL_MS)
    end
  end
end

-- Takes up the answers that came, and asks again where none came.
local function look(request, now)
  looked_ms = now
  for number, flight in pairs(flights) do
    if flight.awaited then
      -- Its caller hung up: then nobody waits any more for what it was to be told.
      if now - flight.sent > 2 * ASK_MS then
        flight.awaited, flight.sent = false, 0
      end
    else
      local name = QUOTA_FOLDER .. "/" .. worker .. "-" .. number
      local file = io.open(name, "r")
      if file ~= nil then
        local text = file:read("*a")
        file:close()
        os.remove(name)
        settle(flight, text, now)
      elseif now - flight.began >= GIVE_UP_MS then
        give_up(flight, now)
      elseif now - flight.sent >= AGAIN_MS then
        flight.sent = now
        send(request.handle, flight, true)
      end
    end
  end
end

-- Leases that lie idle go back.
local function sweep(now)
  swept_ms = now
  for _, entry in pairs(quota_young) do
    if entry.leased and entry.left > 0 and entry.wish == 0 and now - entry.seen > IDLE_MS then
      give_lease_back(entry, now)
    end
  end
end

-- Tells what is to be told, and asks for what is wished.
local function flush(request, now)
  flushed_ms = now
  local records, lines, size = {}, {}, 0
  while queue_first <= queue_last and #records < MOST_RECORDS and size < MOST_BYTES do
    local entry = queue[queue_first]
    queue[queue_first] = nil
    queue_first = queue_first + 1
    entry.queued = false
    local record, line = record_of(entry, math.max(entry.wish, 0), 0)
    if record.want > 0 then
      entry.wish = -1 -- it is on its way
    end
    records[#records + 1], lines[#lines + 1] = record, line
    size = size + #line
  end
  due_ms = queue_first <= queue_last and now or math.huge
  if #records > 0 then
    regular = new_flight(records, table.concat(lines), now)
    send(request.handle, regular, true)
  end
end

local function quota_turn(request)
  local now = request.now_ms
  if now < quota_clock - 1000 then
    -- The clock was set back: whatever was to be done at some moment is done now.
    due_ms, flushed_ms, looked_ms, swept_ms = math.min(due_ms, now), 0, 0, now
    for _, flight in pairs(flights) do
      flight.sent, flight.began = now, now
    end
  end
  quota_clock = now
  if now - swept_ms >= IDLE_MS then
    sweep(now)
  end
  if in_air > 0 and now - looked_ms >= LOOK_MS then
    look(request, now)
  end
  if now >= due_ms and regular == nil and now - flushed_ms >= FLUSH_MS then
    flush(request, now)
  end
end

-- Asks about one counter and waits for the answer; false when there is none.
local function ask(request, entry, want, least)
  local flight = entry.failed
  entry.failed = nil
  if flight == nil or flights[flight.number] ~= flight or flight.awaited then
    if in_air >= MOST_FLIGHTS then
      return false
    end
    local record, line = record_of(entry, want, least)
    flight = new_flight({ record }, line, request.now_ms)
  end
  flight.awaited, flight.sent = true, request.now_ms
  local headers, body = send(request.handle, flight, false)
  request.headers = request.handle:headers() -- those from before a call are dead
  local now = request.handle:timestamp()
  if flights[flight.number] ~= flight or (headers[":status"] == "200" and settle(flight, body, now)) then
    return true
  end
  flight.awaited, flight.sent, entry.failed = false, now, flight
  return false
end

-- As much as lasts for two seconds, going by how long the last batch did.
local function batch(entry, now)
  if entry.got_ms == 0 or now < entry.got_ms then
    return LEAST_BATCH
  end
  local rate = (entry.got - entry.left) / math.max(now - entry.got_ms, FLUSH_MS)
  -- Who paused a while goes on as before.
  return math.max(LEAST_BATCH, math.min(MOST_BATCH, math.ceil(rate * LASTS_MS)), math.floor(entry.got / 2))
end

-- Whether it was said a moment ago that no more units are left than `need`.
local function is_short(entry, need, now)
  return entry.refused > 0 and need >= entry.short_of and now < entry.reset and now >= entry.refused
end

local function wish(entry, now)
  if entry.wish == 0 then
    entry.wish = batch(entry, now)
    enqueue(entry, now)
  end
end

-- True, false, or nil when nobody could say.
local function take_leased(request, quota, entry, cost)
  local again = false
  for _ = 1, 4 do
    local now = request.now_ms
    if now >= entry.ends then
      entry.left = 0
    end
    entry.seen = now
    if entry.left >= cost then
      entry.left = entry.left - cost
      if entry.left * 2 < entry.got and not is_short(entry, 1, now) then
        wish(entry, now)
      end
      return true
    end
    local need = cost - entry.left
    if is_short(entry, need, now) then
      if now - entry.refused >= BELIEVED_MS then
        entry.refused = now
        wish(entry, now)
      end
      return false
    end
    if entry.calls > 0 then
      look(request, now) -- what was granted to an earlier call may be here
    end
    if entry.left < cost then
      if not ask(request, entry, math.max(batch(entry, now), need), need) then
        -- A connection that broke is tried once more, with the same number; one that hangs is not.
        if again or request.handle:timestamp() - now >= ASK_MS / 2 then
          return nil
        end
        again = true
      end
      request.now_ms = request.handle:timestamp()
      if entry.left < cost and entry.calls > 0 then
        look(request, request.now_ms)
      end
    end
  end
  return false
end

local function take_counted(request, quota, entry, cost)
  local now = request.now_ms
  if entry.ends > 0 and now >= entry.ends then
    if quota.rolling then
      entry.ends = now + BELIEVED_MS -- some of it is free again: how much is asked
      enqueue(entry, now)
    else
      entry.used, entry.spent, entry.ends, entry.known = 0, 0, 0, 0 -- what was not told counts no more
    end
  end
  if entry.used + entry.spent + entry.flying + cost > quota.count then
    if entry.known == 0 then
      entry.known = now
      ask(request, entry, 0, 0)
      now = request.handle:timestamp()
    elseif now - entry.known >= BELIEVED_MS or now < entry.known then
      entry.known = now
      enqueue(entry, now)
    end
    if entry.used + entry.spent + entry.flying + cost > quota.count then
      return false
    end
  end
  local spent = entry.spent + cost
  entry.spent = spent
  local near = spent * FEW > quota.count - entry.used - entry.flying - spent
  if not entry.queued then
    entry.near = near
    enqueue(entry, now + (entry.known == 0 and FLUSH_MS or near and TELL_MS or FAR_MS))
  elseif near and not entry.near then
    entry.near = true
    enqueue(entry, now + TELL_MS)
  end
  return true
end

local function give_back(quota, entry, cost)
  if quota.leased then
    entry.left = entry.left + cost
  else
    entry.spent = entry.spent - cost
  end
end

local function standing(quota, entry, now)
  local left = quota.count - entry.used - (quota.leased and -entry.left or entry.spent + entry.flying)
  local reset = entry.reset > now and math.ceil((entry.reset - now) / 1000) or 1
  return math.max(0, left), reset
end

local function exceeded(request, quota, entry)
  local left, reset = standing(quota, entry, request.now_ms)
  local headers = {
    ["retry-after"] = tostring(reset),
    ["ratelimit"] = ('"%s";r=%d;t=%d'):format(quota.name, left, reset),
    ["ratelimit-policy"] = request.settings.policies,
  }
  if request.settings.legacy_limits then
    headers["x-ratelimit-limit"] = tostring(quota.count)
    headers["x-ratelimit-remaining"] = tostring(left)
    headers["x-ratelimit-reset"] = tostring(reset)
  end
  return quota.answer, headers, { ["violated-policies"] = '["' .. quota.name .. '"]' }
end

local function cost_of(request, quota)
  if quota.weight_header ~= nil then
    local stated = request.headers:get(quota.weight_header)
    if stated ~= nil then
      -- Odd ones were refused by the route; of several lines nobody knows which one counts.
      return tonumber(stated:match("^%d+$") or quota.heaviest)
    end
  end
  return quota.weight
end

-- What the service's answer will say is left, kept in a request header until then.
local function state_standing(request, taken)
  local stated, least, of, reset_of = nil, nil, nil, nil
  for at = 1, #taken do
    local one = taken[at]
    local quota = one.quota
    if not quota.shadow then
      local left, reset = standing(quota, one.entry, request.now_ms)
      local text = '"' .. quota.name .. '";r=' .. left .. ";t=" .. reset
      stated = stated and (stated .. ", " .. text) or text
      if least == nil or left < least then
        least, of, reset_of = left, quota.count, reset
      end
    end
  end
  if stated ~= nil then
    local headers = request.headers
    headers:replace("x-kronborg-limit", stated)
    if request.settings.legacy_limits then
      headers:replace("x-kronborg-limit-limit", tostring(of))
      headers:replace("x-kronborg-limit-remaining", tostring(least))
      headers:replace("x-kronborg-limit-reset", tostring(reset_of))
    end
  end
end

-- A refusal by one quota takes nothing from the others.
local function refuse_quota(request, taken, quota, entry, fine)
  for at = 1, #taken do
    give_back(taken[at].quota, taken[at].entry, taken[at].cost)
  end
  if fine == nil then
    return "quota_unknown"
  end
  return exceeded(request, quota, entry)
end

local function check_quota(request)
  local quotas = request.settings.quotas
  if quotas == nil then
    return nil
  end
  quota_turn(request)
  local taken = {}
  for at = 1, #quotas do
    local quota = quotas[at]
    local cost = cost_of(request, quota)
    local entry = quota_entry(request, quota)
    local fine = true
    if cost > 0 then
      fine = (quota.leased and take_leased or take_counted)(request, quota, entry, cost)
    end
    if fine then
      taken[#taken + 1] = { quota = quota, entry = entry, cost = cost }
    elseif quota.shadow then
      request.headers:add("x-kronborg-shadow", quota.name)
      if fine == false and not quota.leased then
        entry.spent = entry.spent + cost
        enqueue(entry, request.now_ms + TELL_MS)
      end
    else
      return refuse_quota(request, taken, quota, entry, fine)
    end
  end
  state_standing(request, taken)
  return nil
end
