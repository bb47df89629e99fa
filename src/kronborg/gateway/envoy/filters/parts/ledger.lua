-- What is to be refused, as the ledger says (`gateway/ledger.py`); one memory per worker, read on from the file by
-- whichever request comes first. A file that cannot be read never means that nothing is refused.

local LEDGER_FILE = @LEDGER_FILE@
local LEDGER_HEAD = "^kronborg%-ledger 1 (%x+)\n"
local LEDGER_LINE = "^(%l) (%d+) (%d+) (%S+)\n()"
local READ_EVERY_MS = 25

local ledger = nil          -- nil until a ledger was read whole
local ledger_revision = 0   -- another one whenever something was added
local ledger_read_ms = nil

local function ledger_blank(generation)
  return {
    generation = generation,
    position = 0,
    beat_ms = 0,
    broken = false,
    -- By subject: the first second of `iat` that is not refused.
    t = {}, g = {}, s = {}, c = {}, u = {}, k = {}, a = {},
    keys = false,
    -- By key: the last millisecond of the denial.
    d = {},
  }
end

local function ledger_subject(text)
  if text:find("%", 1, true) then
    return (text:gsub("%%(%x%x)", function(digits)
      return string.char(tonumber(digits, 16))
    end))
  end
  return text
end

-- Applies whole lines from `at` on; where they end. A line that is none breaks the book until its next generation.
local function ledger_apply(book, text, at)
  local find = string.find
  local changed = false
  while true do
    local from, _, kind, until_, not_before, subject, after = find(text, LEDGER_LINE, at)
    if from == nil then
      break
    end
    if kind == "h" then
      book.beat_ms = tonumber(until_)
    else
      local known = book[kind]
      if type(known) ~= "table" then
        book.broken = true
        return at
      end
      subject = ledger_subject(subject)
      if kind == "d" then
        known[subject] = tonumber(until_)
      else
        local limit = not_before == "0" and math.huge or tonumber(not_before)
        if limit > (known[subject] or 0) then
          known[subject] = limit
        end
        changed = true
        if kind == "k" then
          book.keys = true
        end
      end
    end
    at = after
  end
  if find(text, "\n", at, true) then
    book.broken = true
  end
  if changed then
    ledger_revision = ledger_revision + 1
  end
  return at
end

local function ledger_read(file)
  local head = file:read("*l")
  local generation = head and (head .. "\n"):match(LEDGER_HEAD)
  if generation == nil then
    return -- not a ledger: what is known stays, and grows old
  end
  if ledger ~= nil and ledger.generation == generation then
    if ledger.broken then
      return
    end
    file:seek("set", ledger.position)
    local text = file:read("*a")
    if text ~= nil and #text > 0 then
      ledger.position = ledger.position + ledger_apply(ledger, text, 1) - 1
    end
    return
  end
  local book = ledger_blank(generation)
  local text = file:read("*a") or ""
  book.position = #head + ledger_apply(book, text, 1)
  if not book.broken then
    ledger, ledger_revision = book, ledger_revision + 1
  end
end

-- The book of this moment; nil when there never was one.
local function ledger_at(now_ms)
  if ledger_read_ms ~= nil and now_ms >= ledger_read_ms and now_ms - ledger_read_ms < READ_EVERY_MS then
    return ledger
  end
  ledger_read_ms = now_ms
  local file = io.open(LEDGER_FILE, "r")
  if file ~= nil then
    local fine, problem = pcall(ledger_read, file)
    file:close()
    if not fine then
      error(problem, 0)
    end
  end
  return ledger
end

-- Until when (milliseconds) what counts under `key` is denied; nil when it is not. Raises when nobody knows.
local function denied(key, now_ms)
  local until_ = assert(ledger_at(now_ms), "there is no ledger").d[key]
  if until_ ~= nil and until_ > now_ms then
    return until_
  end
  return nil
end
