-- How many calls each caller has under way on a route. Lua hears nothing of calls that end in a reset, so nothing is
-- counted down: the list of a caller holds its calls weakly. Envoy lets go of the handle of a call when the call is over,
-- however it ended, and what nobody holds the collector takes out of the list. This filter has an interpreter of its own
-- for each worker, with nothing in it but these lists: a whole collection took 12 us, and 52 us with 900 callers.

local ANSWERS = @ANSWERS@ -- by reason: the status, and the problem up to the request id
local BROKEN = "inspection_failed"
local CALLERS_PER_MS = 1000 -- so many more callers, so much longer between collections
local WEAK = { __mode = "v" }
local HEADERS = { client = "x-kronborg-client", user = "x-kronborg-subject" }

local calls, callers, sweep_at = {}, 0, 1024 -- by route and caller: the calls, in places 1 to the bound
local collected_ms = 0

@ADDRESS@
local function caller_of(handle, per)
  if per == "address" then
    return network_of(handle)
  end
  return assert(handle:headers():get(HEADERS[per]), "nobody was verified")
end

-- Calls that are over leave their lists: at once, where there are so many callers that it would cost, a little later.
local function collect(now_ms)
  if math.abs(now_ms - collected_ms) >= math.floor(callers / CALLERS_PER_MS) then
    collected_ms = now_ms
    collectgarbage()
  end
end

-- Forgets callers without a call, when there are twice as many as were left the last time.
local function sweep()
  collectgarbage()
  for name, places in pairs(calls) do
    if next(places) == nil then
      calls[name] = nil
      callers = callers - 1
    end
  end
  sweep_at = math.max(1024, callers * 2)
end

local function take(places, most, handle)
  for at = 1, most do
    if places[at] == nil then
      places[at] = handle
      return true
    end
  end
  return false
end

local function admit(handle)
  local context = handle:filterContext()
  local per, most = context:get("per"), tonumber(context:get("count"))
  local name = context:get("route") .. "\n" .. caller_of(handle, per)
  local places = calls[name]
  if places == nil then
    if callers >= sweep_at then
      sweep()
    end
    places = setmetatable({}, WEAK)
    calls[name] = places
    callers = callers + 1
  end
  if take(places, most, handle) then
    return nil
  end
  collect(handle:timestamp())
  return not take(places, most, handle) and "concurrency" or nil
end

local function refuse(handle, reason)
  local answer = ANSWERS[reason]
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("kronborg", "reason", reason)
  metadata:set("kronborg", "answer", "whole")
  local id = (handle:headers():get("x-request-id") or ""):match("^[%w-]+$") or ""
  local members = reason == "concurrency" and '","violated-policies":["concurrency"]}' or '"}'
  handle:respond({
    [":status"] = answer.status,
    ["content-type"] = "application/problem+json",
    ["retry-after"] = "1",
  }, answer.problem .. id .. members)
end

function envoy_on_request(handle)
  local fine, reason = pcall(admit, handle)
  if not fine then
    handle:logErr("concurrency: " .. tostring(reason):sub(1, 200))
    reason = BROKEN
  end
  if reason ~= nil and not pcall(refuse, handle, reason) then
    handle:respond({ [":status"] = "503" }, "")
  end
end
