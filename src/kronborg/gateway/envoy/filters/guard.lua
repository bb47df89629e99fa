-- What is looked at inside a request: the size of its head here, the rest by the control process, which is asked once
-- per request, only on routes that need it. An error here would let the request through, so everything runs in pcall
-- and ends in 503 otherwise.

local CLUSTER = @CLUSTER@
local SECRET_FILE = @SECRET_FILE@
local ANSWERS = @ANSWERS@        -- by reason: the status, and the problem up to the request id
local UNKNOWN = "guard_unavailable"
local TIMEOUT_MS = 2000
-- Ours, or a credential: the guard needs the claims of the token, not the token.
local KEPT_BACK = { authorization = true, dpop = true, ["x-api-key"] = true, ["proxy-authorization"] = true }

local function secret()
  local file = assert(io.open(SECRET_FILE, "r"))
  local text = file:read("*l")
  file:close()
  assert(text ~= nil and #text >= 32)
  return text
end

local function refuse(handle, reason, errors)
  local answer = ANSWERS[reason]
  if answer == nil then
    reason, errors = UNKNOWN, nil
    answer = ANSWERS[UNKNOWN]
  end
  local headers = { [":status"] = answer.status, ["content-type"] = "application/problem+json" }
  if answer.status == "503" then
    headers["retry-after"] = "1"
  end
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("kronborg", "reason", reason)
  metadata:set("kronborg", "answer", "whole")
  local id = (handle:headers():get("x-request-id") or ""):match("^[%w-]+$") or ""
  local problem = answer.problem .. id .. '"'
  if errors ~= nil and #errors > 2 then
    problem = problem .. ',"errors":' .. errors
  end
  handle:respond(headers, problem .. "}")
end

local function bound(context, name)
  local text = context:get(name) -- nothing at all, and not nil, where the route does not say
  return text and tonumber(text)
end

-- The bounds of the head. A character of the query is looked at once.
local function head_is_too_large(context, headers)
  local target = bound(context, "target")
  local path = headers:get(":path")
  if target ~= nil and #path > target then
    return "target_too_long"
  end
  local parameters = bound(context, "parameters")
  if parameters ~= nil then
    local query = path:match("%?(.*)$")
    if query ~= nil and query ~= "" then
      local _, more = query:gsub("&", "")
      if more + 1 > parameters then
        return "too_many_parameters"
      end
    end
  end
  local most, bytes = bound(context, "headers"), bound(context, "header_bytes")
  if most ~= nil or bytes ~= nil then
    local count, size = 0, 0
    for name, value in pairs(headers) do
      -- Those with a colon are the first line; ours were written here.
      if name:sub(1, 1) ~= ":" and name:sub(1, 11) ~= "x-kronborg-" then
        count = count + 1
        size = size + #name + #value
      end
    end
    if (most ~= nil and count > most) or (bytes ~= nil and size > bytes) then
      return "headers_too_large"
    end
  end
  return nil
end

-- What the control process reads: lines, an empty line, the body.
local function question(context, headers)
  local claims = "-" -- an empty line would end the head
  if context:get("claims") ~= nil then
    -- Verified by `jwt` before; its signature stays here.
    claims = assert(headers:get("authorization"):match("^%a+ [%w_-]+%.([%w_-]+)%.[%w_-]+$"))
  end
  local lines = { headers:get(":method"), headers:get(":path"), claims }
  for name, value in pairs(headers) do
    if name:sub(1, 1) ~= ":" and not KEPT_BACK[name] then
      assert(value:find("[\r\n]") == nil)
      lines[#lines + 1] = name .. ":" .. value
    end
  end
  return table.concat(lines, "\n") .. "\n\n"
end

local function guard(handle)
  local context, headers = handle:filterContext(), handle:headers()
  local large = head_is_too_large(context, headers)
  if large ~= nil then
    return large
  end
  local ask = context:get("ask")
  if ask == nil then
    return nil
  end
  local text, route = question(context, headers), context:get("route")
  if ask == "body" then
    local body = handle:body()
    if body ~= nil and body:length() > 0 then
      text = text .. body:getBytes(0, body:length())
    end
  end
  local answer, errors = handle:httpCall(CLUSTER, {
    [":method"] = "POST",
    [":path"] = "/guard",
    [":authority"] = "guard",
    ["content-type"] = "application/octet-stream",
    ["x-kronborg-exchange"] = secret(),
    ["x-kronborg-route"] = route,
  }, text, TIMEOUT_MS)
  local status = answer[":status"]
  if status == "204" then
    local reported = answer["x-kronborg-reported"]
    if reported ~= nil then
      handle:streamInfo():dynamicMetadata():set("kronborg", "reported", reported)
    end
    return nil
  elseif status == "422" and answer["x-kronborg-reason"] ~= nil then
    return answer["x-kronborg-reason"], errors
  end
  return UNKNOWN
end

function envoy_on_request(handle)
  local fine, reason, errors = pcall(guard, handle)
  if not fine then
    handle:logErr("guard: " .. tostring(reason):sub(1, 200))
    reason, errors = UNKNOWN, nil
  end
  if reason ~= nil and not pcall(refuse, handle, reason, errors) then
    handle:respond({ [":status"] = "503" }, "")
  end
end
