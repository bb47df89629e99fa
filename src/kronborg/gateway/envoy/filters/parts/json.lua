-- Reads JSON whose signature was verified, and our own settings. Every error is raised: the caller refuses.

local DEEPEST = 16
local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local function utf8(code)
  if code < 0x80 then
    return string.char(code)
  elseif code < 0x800 then
    return string.char(0xC0 + math.floor(code / 64), 0x80 + code % 64)
  elseif code < 0x10000 then
    return string.char(0xE0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
  end
  return string.char(
    0xF0 + math.floor(code / 262144),
    0x80 + math.floor(code / 4096) % 64,
    0x80 + math.floor(code / 64) % 64,
    0x80 + code % 64
  )
end

local function json_string(text, at)
  local plain, after = text:match('^"([^"\\%c]*)"()', at)
  if plain ~= nil then
    return plain, after
  end
  local parts = {}
  at = at + 1
  while true do
    local run, next_ = text:match('^([^"\\%c]*)()', at)
    parts[#parts + 1] = run
    local mark = text:sub(next_, next_)
    if mark == '"' then
      return table.concat(parts), next_ + 1
    end
    assert(mark == "\\", "a string does not end")
    local letter = text:sub(next_ + 1, next_ + 1)
    if letter == "u" then
      local code = tonumber(assert(text:match("^%x%x%x%x", next_ + 2)), 16)
      at = next_ + 6
      if code >= 0xD800 and code < 0xDC00 then
        local low = tonumber(assert(text:match("^\\u([dD][c-fC-F]%x%x)", at)), 16)
        code = 0x10000 + (code - 0xD800) * 1024 + (low - 0xDC00)
        at = at + 6
      end
      parts[#parts + 1] = utf8(code)
    else
      parts[#parts + 1] = assert(ESCAPES[letter], "an unknown escape")
      at = next_ + 2
    end
  end
end

local json_value

local function json_object(text, at, depth)
  local object = {}
  at = text:match("^%s*()", at + 1)
  if text:sub(at, at) == "}" then
    return object, at + 1
  end
  while true do
    assert(text:sub(at, at) == '"', "a member has no name")
    local name, value
    name, at = json_string(text, at)
    at = assert(text:match("^%s*:%s*()", at))
    value, at = json_value(text, at, depth)
    object[name] = value
    local mark, next_ = text:match("^%s*([,}])%s*()", at)
    if mark == "}" then
      return object, next_
    end
    at = assert(mark and next_, "an object does not end")
  end
end

local function json_array(text, at, depth)
  local array = {}
  at = text:match("^%s*()", at + 1)
  if text:sub(at, at) == "]" then
    return array, at + 1
  end
  while true do
    local value
    value, at = json_value(text, at, depth)
    array[#array + 1] = value
    local mark, next_ = text:match("^%s*([,%]])%s*()", at)
    if mark == "]" then
      return array, next_
    end
    at = assert(mark and next_, "an array does not end")
  end
end

function json_value(text, at, depth)
  local first = text:sub(at, at)
  if first == '"' then
    return json_string(text, at)
  elseif first == "{" then
    assert(depth < DEEPEST, "too deep")
    return json_object(text, at, depth + 1)
  elseif first == "[" then
    assert(depth < DEEPEST, "too deep")
    return json_array(text, at, depth + 1)
  end
  local word, after = text:match("^(%a+)()", at)
  if word == "true" or word == "false" then
    return word == "true", after
  elseif word == "null" then
    return nil, after
  end
  local digits, behind = text:match("^(-?%d+%.?%d*[eE]?[+-]?%d*)()", at)
  return assert(tonumber(digits), "not a value"), behind
end

local function read_json(text)
  local value, after = json_value(text, text:match("^%s*()"), 0)
  assert(text:find("^%s*$", after), "more than one value")
  return value
end
