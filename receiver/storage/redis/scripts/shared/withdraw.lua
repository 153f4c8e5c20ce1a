-- include: held, keys, requeue
-- How a delivery in flight is taken from wherever it is.

-- Takes a delivery in flight from wherever it waits or runs, but not out of its lane. A job that is in its queue stays
-- there: it is stale from now on, and whoever takes it finds nothing to do. *state*: its fields, by their letters.
local function withdraw(id, n, state)
    local job = id .. '-' .. n .. '-' .. (state.j or 1)
    local queue = redis.call('HGET', job_key(job), 'origin') or state.q
    if state.o then let_go(state.o, queue, job) end
    redis.call('ZREM', scheduled_key(queue), job)
    if state.s == 'h' and state.w ~= 'o' then
        redis.call('ZREM', waiting_key(gate_of(state.r, state.w, state.u)), id .. '-' .. n)
    end
    redis.call('DEL', job_key(job))
end

local LETTERS = {'s', 'j', 'q', 'o', 'w', 'u', 'r', 'l', 'g', 'd'}

-- The fields of delivery n that `withdraw` and `finish` go by.
local function read_place(id, n)
    local names = {}
    for i, letter in ipairs(LETTERS) do names[i] = n .. letter end
    local values, state = redis.call('HMGET', state_key(id), unpack(names)), {}
    for i, letter in ipairs(LETTERS) do state[letter] = values[i] or nil end
    return state
end
