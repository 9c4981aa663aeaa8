-- Runs a health script on each of the objects that a file returns, as functions. The script sees what Argo CD shows it where the
-- standard libraries are closed, as they are for a script in argocd-cm: the basic functions, table, and `obj`.

local path, objects = arg[1], arg[2]

local function world(object)
  return {
    obj = object,
    assert = assert, error = error, ipairs = ipairs, next = next, pairs = pairs, pcall = pcall, select = select,
    tonumber = tonumber, tostring = tostring, type = type, unpack = unpack, table = table,
  }
end

local function quoted(text)
  local escaped = string.gsub(text, '[%c"\\]', function(letter)
    return string.format("\\u%04x", string.byte(letter))
  end)
  return '"' .. escaped .. '"'
end

for _, object in ipairs(dofile(objects)) do
  local script = assert(loadfile(path))
  setfenv(script, world(object()))
  local health = script()
  print(string.format('{"status":%s,"message":%s}', quoted(health.status), quoted(health.message)))
end
