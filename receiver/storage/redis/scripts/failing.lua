-- include: keys, states
-- Lists the failing deliveries of events: those that are dead, and those in flight of which an attempt has ended.
-- Changes nothing. Deliveries of erased events are left out, because nobody can do anything about them.
--
-- ARGV: for each event its id, and the version of it that this script returned last ('' when the caller has none)
-- Returns how many events were read (fewer than asked for when they are large; at least one), then for each event of
-- another version: id, version ('' while a delivery is in flight, because it may change without a new version), then
-- for each failing delivery: number, route, state, the last and the first record of its ended attempts, both cut to
-- 2,000 bytes.

local MOST_DELIVERIES, MOST_OF_ONE, MOST_BYTES, LONGEST = 2000, 20000, 4194304, 2000

local told, deliveries, bytes = {0}, 0, 0

local function cut(text)
    text = text or ''
    bytes = bytes + #text
    return string.sub(text, 1, LONGEST)
end

for at = 1, #ARGV, 2 do
    if at > 1 and (deliveries >= MOST_DELIVERIES or bytes >= MOST_BYTES) then break end
    local id, known = ARGV[at], ARGV[at + 1]
    local state = redis.call('HMGET', state_key(id), 'n', 'p', 'z', 'e')
    local made, in_flight = math.min(tonumber(state[1] or 0) or 0, MOST_OF_ONE), tonumber(state[2] or 0) or 0
    if state[4] then made = 0 end
    local version = in_flight > 0 and '' or (state[1] or '') .. ':' .. (state[3] or '') .. ':' .. (state[4] or '')
    if version == '' or version ~= known then
        local one = {id, version}
        for n = 1, made do
            local delivery = redis.call('HMGET', state_key(id), n .. 's', n .. 'r', n .. 'a')
            if delivery[1] == 'd' or (delivery[1] and not FINAL[delivery[1]] and delivery[3]) then
                local list = 'fd:a:' .. id .. '-' .. n
                for _, part in ipairs({n, delivery[2] or '?', delivery[1], cut(redis.call('LINDEX', list, -1)),
                    cut(redis.call('LINDEX', list, 0))}) do one[#one + 1] = part end
            end
        end
        told[#told + 1] = one
        deliveries = deliveries + made
    end
    told[1] = told[1] + 1
end
return told
