-- include: held, keys, requeue
-- How a delivery in flight is removed from where it waits or runs.

-- Removes a delivery in flight from its worker, the schedule or its gate, but not from its lane. A job in a queue stays
-- there: it is stale now, and does nothing when a worker takes it. *state*: its fields by their letters, as read_place
-- returns them.
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

-- The fields of delivery n that `withdraw` and `finish` need, by their letters.
local function read_place(id, n)
    local names = {}
    for i, letter in ipairs(LETTERS) do names[i] = n .. letter end
    local values, state = redis.call('HMGET', state_key(id), unpack(names)), {}
    for i, letter in ipairs(LETTERS) do state[letter] = values[i] or nil end
    return state
end
