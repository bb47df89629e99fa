-- Quotas: how many calls a principal has left in its window (one memory per worker).
-- Leased: units come from the control process in small batches, renewed before they are spent: never one call too many.
-- Counted: calls are counted here and told twice a second; the answer says how much all gateways have used.
-- One request in many carries what is to be told, and waits for the answer; no other request does.

local QUOTA_CLUSTER = "exchange"
local QUOTA_SECRET_FILE = @SECRET_FILE@
local QUOTA_TIMEOUT_MS = 1000
local TELL_MS = 500               -- how long calls may stay untold
local BACK_OFF_MS = 1000          -- after a failure nobody is asked for so long
local REFUSED_MS = 1000           -- how long a "no" is believed: a reset is noticed within this time
local IDLE_MS = 10000             -- a lease that nobody used for so long is given back
local QUOTAS_PER_GENERATION = 8192
local MOST_RECORDS = 256          -- in one call
local LEAST_BATCH, MOST_BATCH = 16, 1000 -- units of one lease
local FIRST_SIGHTS = 200          -- new principals asked about per second and worker; others are told later
local LONGEST_IDENTITY = 256      -- longer ones that begin alike share a counter

local quota_young, quota_old, quota_count = {}, {}, 0
local untold = {}
local told_ms, silent_until, swept_ms = 0, 0, 0
local sights_second, sights = 0, 0

local function plain(text)
  if #text > LONGEST_IDENTITY then
    text = text:sub(1, LONGEST_IDENTITY)
  end
  if text:find("[%c%%]") then
    text = text:gsub("[%c%%]", function(one) return ("%%%02X"):format(one:byte()) end)
  end
  return text
end

-- An IPv6 network of 64 bits counts as one address, as it is given to one customer.
local function address_of(handle)
  local text = handle:streamInfo():downstreamRemoteAddress()
  local host = text:match("^%[(.+)%]:%d+$")
  if host == nil then
    return text:match("^(.+):%d+$") or text
  end
  local head, tail = host:match("^(.-)::(.*)$")
  local groups = {}
  for group in (head or host):gmatch("%x+") do
    groups[#groups + 1] = group
  end
  if head ~= nil then
    local behind = 0
    for _ in tail:gmatch("[%x.]+") do
      behind = behind + 1
    end
    while #groups < 8 - behind and #groups < 4 do
      groups[#groups + 1] = "0"
    end
    for group in tail:gmatch("%x+") do
      groups[#groups + 1] = group
    end
  end
  return table.concat(groups, ":", 1, math.min(4, #groups))
end

-- Who is counted. Claims were verified; a name is one principal's only together with who issued it.
local function identity_of(request, quota)
  local per, claims = quota.per, request.claims
  local found
  if per == "route" then
    return "all"
  elseif per == "address" then
    return address_of(request.handle)
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
    found = (kind == "number" or kind == "boolean") and tostring(found) or ""
  end
  found = plain(found)
  if request.token ~= nil and not request.token.ours then
    return plain(claims.iss) .. "\t" .. found
  end
  return found
end

local function quota_entry(quota, identity)
  local key = quota.name .. "\n" .. identity
  local entry = quota_young[key]
  if entry ~= nil then
    return entry
  end
  entry = quota_old[key]
  if entry == nil then
    entry = {
      key = key, leased = quota.leased, left = 0, remaining = quota.count, ends = 0, reset = 0, want = LEAST_BATCH, got = 0,
      used = 0, spent = 0, flying = 0, known = 0, seen = 0, refused = 0, refused_cost = 0, asking = false, untold = false,
    }
  end
  if quota_count >= QUOTAS_PER_GENERATION then
    for _, forgotten in pairs(quota_old) do
      if forgotten.leased and forgotten.left > 0 and quota_young[forgotten.key] == nil then
        forgotten.spent, forgotten.left = forgotten.spent - forgotten.left, 0
        untold[forgotten.key], forgotten.untold = forgotten, true
      end
    end
    quota_old, quota_young, quota_count = quota_young, {}, 0
  end
  quota_young[key] = entry
  quota_count = quota_count + 1
  return entry
end

local function quota_secret()
  local file = assert(io.open(QUOTA_SECRET_FILE, "r"))
  local text = file:read("*l")
  file:close()
  return assert(text)
end

-- Tells what was spent and asks for what is wanted; true when the control process answered. Others run meanwhile.
local function ask_quota(request, entries, wants)
  if request.now_ms < silent_until and silent_until - request.now_ms <= BACK_OFF_MS then
    return false
  end
  local lines = {}
  for at, entry in ipairs(entries) do
    entry.flying, entry.spent = entry.flying + entry.spent, 0
    local want = wants[at] or NOTHING
    lines[at] = entry.key .. "\n" .. entry.flying .. "\n" .. (want[1] or 0) .. "\n" .. (want[2] or 0)
  end
  local headers, body = request.handle:httpCall(QUOTA_CLUSTER, {
    [":method"] = "POST",
    [":path"] = "/quota",
    [":authority"] = "quota",
    ["x-kronborg-exchange"] = quota_secret(),
    ["content-type"] = "text/plain",
  }, table.concat(lines, "\n") .. "\n", QUOTA_TIMEOUT_MS)
  request.headers = request.handle:headers() -- those from before a call are dead
  local now = request.handle:timestamp()
  local answers = headers[":status"] == "200" and body and body:gmatch("(%d+) (%d+) (%d+) (%d+)\n")
  local complete = answers ~= nil and answers ~= false
  for _, entry in ipairs(entries) do
    local granted, used, ends, reset
    if complete then
      granted, used, ends, reset = answers()
    end
    if granted == nil then
      complete = false
      entry.spent, entry.flying = entry.spent + entry.flying, 0
    else
      entry.flying = 0
      entry.used, entry.ends, entry.reset, entry.known = tonumber(used), tonumber(ends), tonumber(reset), now
      if entry.leased then
        entry.left = entry.left + tonumber(granted)
        entry.got = entry.left
      end
    end
  end
  if not complete then
    silent_until = now + BACK_OFF_MS
  end
  return complete
end

local function mark_untold(entry)
  if not entry.untold then
    entry.untold = true
    untold[entry.key] = entry
  end
end

-- What was not told yet, in one call; leases that lie idle go back with it.
local function tell(request)
  local now = request.now_ms
  told_ms = now
  if now - swept_ms >= IDLE_MS or now < swept_ms then
    swept_ms = now
    for _, entry in pairs(quota_young) do
      if entry.leased and entry.left > 0 and now - entry.seen > IDLE_MS and not entry.asking then
        entry.spent = entry.spent - (now < entry.ends and entry.left or 0)
        entry.left = 0
        mark_untold(entry)
      end
    end
  end
  local entries = {}
  for key, entry in pairs(untold) do
    if entry.flying == 0 then
      entries[#entries + 1] = entry
      untold[key], entry.untold = nil, false
      if #entries >= MOST_RECORDS then
        break
      end
    end
  end
  if #entries > 0 and not ask_quota(request, entries, {}) then
    for _, entry in ipairs(entries) do
      mark_untold(entry)
    end
  end
end

-- A batch that did not last a second becomes four times as large, one that lasted eight half as large.
local function batch(entry, now, cost)
  local lasted = now - entry.known
  if entry.known > 0 and lasted < 1000 then
    entry.want = math.min(entry.want * 4, MOST_BATCH)
  elseif lasted > 8000 then
    entry.want = math.max(math.floor(entry.want / 2), LEAST_BATCH)
  end
  return math.max(entry.want, cost)
end

local function renew(request, entry, cost)
  entry.asking = true
  local want = NOTHING
  if entry.leased then
    want = { batch(entry, request.now_ms, cost), math.max(0, cost - entry.left) }
  end
  local fine, answered = pcall(ask_quota, request, { entry }, { want })
  entry.asking = false
  assert(fine, answered)
  return answered
end

-- True, false, or nil when nobody could say.
local function take_leased(request, quota, entry, cost)
  local now = request.now_ms
  if now >= entry.ends then
    entry.left = 0
  end
  entry.seen = now
  if entry.left < cost then
    if cost >= entry.refused_cost and now < entry.refused and entry.refused - now <= REFUSED_MS then
      return false
    end
    if not renew(request, entry, cost) then
      return nil
    end
    if entry.left < cost then
      entry.refused, entry.refused_cost = now + REFUSED_MS, cost
      return false
    end
    entry.left = entry.left - cost
    return true
  end
  entry.left = entry.left - cost
  if entry.left * 4 < entry.got and not entry.asking and entry.used < quota.count then
    renew(request, entry, 0)
  end
  return true
end

local function first_sight(now)
  local second = math.floor(now / 1000)
  if sights_second ~= second then
    sights_second, sights = second, 0
  end
  sights = sights + 1
  return sights <= FIRST_SIGHTS
end

local function take_counted(request, quota, entry, cost)
  local now = request.now_ms
  if now >= entry.ends and entry.ends > 0 then
    entry.used, entry.ends, entry.known = 0, 0, 0
  end
  local over = entry.used + entry.spent + entry.flying + cost > quota.count
  local stale = now - entry.known > REFUSED_MS or now < entry.known
  if not entry.asking and ((over and stale) or (entry.known == 0 and first_sight(now))) then
    renew(request, entry, 0)
    over = entry.used + entry.spent + entry.flying + cost > quota.count
  end
  if over then
    return false
  end
  entry.spent = entry.spent + cost
  mark_untold(entry)
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
  local stated, least, of, reset_of = {}, nil, nil, nil
  for at = 1, #taken do
    local one = taken[at]
    if not one.quota.shadow then
      local left, reset = standing(one.quota, one.entry, request.now_ms)
      stated[#stated + 1] = ('"%s";r=%d;t=%d'):format(one.quota.name, left, reset)
      if least == nil or left < least then
        least, of, reset_of = left, one.quota.count, reset
      end
    end
  end
  if #stated > 0 then
    local headers = request.headers
    headers:replace("x-kronborg-limit", table.concat(stated, ", "))
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
  if request.now_ms - told_ms >= TELL_MS or request.now_ms < told_ms then
    tell(request)
  end
  local taken = {}
  for at = 1, #quotas do
    local quota = quotas[at]
    local cost = cost_of(request, quota)
    local entry = quota_entry(quota, identity_of(request, quota))
    local fine = true
    if cost > 0 then
      fine = (quota.leased and take_leased or take_counted)(request, quota, entry, cost)
    end
    if fine then
      taken[#taken + 1] = { quota = quota, entry = entry, cost = cost }
    elseif quota.shadow then
      request.headers:replace("x-kronborg-shadow", quota.name)
      if fine == false then
        entry.spent = entry.spent + (quota.leased and 0 or cost)
      end
    else
      return refuse_quota(request, taken, quota, entry, fine)
    end
  end
  state_standing(request, taken)
  return nil
end
