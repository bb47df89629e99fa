-- Where a request came from, as limits count it.

-- An IPv6 network of 64 bits counts as one address, as it is given to one customer.
local function network_of(handle)
  local text = handle:streamInfo():downstreamRemoteAddress()
  local address = text:match("^%[(.-)%]:%d+$") or text:match("^(.-):%d+$") or text
  if address:find(":", 1, true) == nil then
    return address
  end
  local mapped = address:match("^::ffff:(%d+%.%d+%.%d+%.%d+)$")
  if mapped ~= nil then
    return mapped
  end
  local before, after = address:match("^(.-)::(.*)$")
  local groups, rest = {}, 0
  for group in (before or address):gmatch("%x+") do
    groups[#groups + 1] = group
  end
  if before ~= nil then
    for _ in after:gmatch("[%x.]+") do
      rest = rest + 1
    end
    for _ = 1, math.min(8 - rest, 4) - #groups do
      groups[#groups + 1] = "0"
    end
    for group in after:gmatch("%x+") do
      groups[#groups + 1] = group
    end
  end
  return table.concat(groups, ":", 1, math.min(4, #groups))
end
