-- Where a request came from, as limits count it.

-- An IPv6 network of 64 bits counts as one address, as it is given to one customer.
local function network_of(handle)
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
