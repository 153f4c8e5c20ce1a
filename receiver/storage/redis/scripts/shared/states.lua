-- include: keys
-- The state of an event and its deliveries.

local FINAL = {s = 'succeeded', d = 'dead', c = 'discarded'}

-- A state that names more deliveries is damaged.
local MOST_MADE = 1000000

-- All fields of an event's state by their names (`storage/redis/keys.py` explains the letters); nil when it has none. A
-- state without a valid number of deliveries gets the number 0 and `is_damaged`: the audit names it, and retention
-- leaves it.
local function read_state(id)
    local flat = redis.call('HGETALL', state_key(id))
    if #flat == 0 then return nil end
    local state = {}
    for i = 1, #flat, 2 do state[flat[i]] = flat[i + 1] end
    local made = tonumber(state.n)
    if not made or made < 0 or made > MOST_MADE then state.n, state.is_damaged = '0', true end
    return state
end
