-- Commands with many values at once.

-- Collects *value* for *key* in the table *lists*, so that `with_each` writes each key once.
local function append(lists, key, value)
    local list = lists[key]
    if list then list[#list + 1] = value else lists[key] = {value} end
end

-- Does one command to *key* with all of *values*, in portions: Lua's unpack takes some 8,000 of them. Returns the last
-- reply, 0 when there are no values.
local PORTION = 4000  -- even, for those that come in pairs

local function send(command, key, values)
    local reply = 0
    for from = 1, #values, PORTION do
        reply = redis.call(command, key, unpack(values, from, math.min(from + PORTION - 1, #values)))
    end
    return reply
end

-- Does one command to each key of *lists*, with all that its list holds.
local function with_each(command, lists)
    for key, values in pairs(lists) do send(command, key, values) end
end
